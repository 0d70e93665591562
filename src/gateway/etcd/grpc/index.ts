export { refusalFields } from "./fields.ts";
export { decodeMessage, defineService, encodeAnswer } from "./method.ts";
export type { Answers, Call, Handlers, Method, Questions, StreamMethod, UnaryMethod } from "./method.ts";
export { Partials } from "./partial.ts";
export type { Partial } from "./partial.ts";
export { GrpcServer } from "./server.ts";
export { httpStatusOf } from "./status.ts";
