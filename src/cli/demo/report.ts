import { formatCount, formatMs } from "../output.ts";

export type DemoFault =
  | {
      readonly kind: "kill-leader";
      readonly node: string;
      readonly leader: string;
      readonly electionMs: number;
      readonly pauseMs: number;
      readonly caughtUpMs: number;
    }
  | { readonly kind: "kill-all"; readonly restartMs: number; readonly pauseMs: number };

/** What `unum demo --json` prints. */
export interface DemoReport {
  readonly acknowledged: number;
  /** Neither acknowledged nor refused: either result is accepted. */
  readonly unknown: number;
  /** Acknowledged and not there. */
  readonly lost: number;
  /** Another value than the one written, or a write that was refused and is there. */
  readonly wrong: number;
  /** Reads whose revision went back. */
  readonly readsBack: number;
  readonly reads: number;
  readonly nodes: number;
  /** Nodes that have synced a write before it is acknowledged. */
  readonly fsync: number;
  readonly writers: number;
  readonly acknowledgedPerSecond: number;
  readonly seconds: number;
  readonly version: string;
  readonly faults: readonly DemoFault[];
}

export function demoPassed(report: DemoReport): boolean {
  return report.lost === 0 && report.wrong === 0 && report.readsBack === 0 && report.acknowledged >= acknowledgedMin;
}

/** A demo that wrote less shows nothing. */
export const acknowledgedMin = 20_000;

export function writingLine(perSecond: number, writers: number, fsync: number, nodes: number): string {
  return `  writing     ${formatCount(perSecond)} acknowledged/s, ${writers} writers, fsync on ${fsync} of ${nodes}`;
}

export function faultLine(fault: DemoFault): string {
  if (fault.kind === "kill-all") return `  kill -9 all            restarted, ${formatMs(Math.round(fault.restartMs))}`;
  return `  kill -9 ${fault.node}  (leader)   ${fault.leader} leads after ${formatMs(Math.round(fault.electionMs))}, longest pause ${formatMs(Math.round(fault.pauseMs))}`;
}

export function caughtUpLine(node: string, ms: number): string {
  return `  restart ${node}             caught up after ${formatMs(Math.round(ms))}`;
}

export function resultLines(report: DemoReport): string[] {
  const counts = [
    `${formatCount(report.acknowledged)} acknowledged`,
    `${formatCount(report.unknown)} unknown`,
    `${formatCount(report.lost)} lost`,
    `${formatCount(report.wrong)} wrong`,
  ];
  if (report.readsBack > 0) counts.push(`${formatCount(report.readsBack)} reads went back`);
  const lines = [`  ${counts.join(" · ")}`];
  if (report.acknowledged < acknowledgedMin) lines.push(`  too few to show anything: ${formatCount(acknowledgedMin)} are wanted`);
  return lines;
}
