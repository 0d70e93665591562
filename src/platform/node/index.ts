export { NodeChecksum } from "./checksum.ts";
export { NodeClock } from "./clock.ts";
export { NodeDisk } from "./disk.ts";
export { NodeRandom } from "./random.ts";
export { NodeStreams } from "./streams.ts";
export type { NodeStreamsOptions } from "./streams.ts";
export { exitProcess, nodeFiles, nodeProcesses, onBrokenOutput, processArguments, processProgram } from "./process.ts";
export { nodeInput, nodeOutput } from "./terminal.ts";
