export { listSchedules, openSchedule, scheduleStatus } from "./schedule.ts";
export type { Run, ScheduleHost } from "./schedule.ts";
export type { PastTick, Schedule, ScheduleOptions, ScheduleStatus, Tick } from "./types.ts";
