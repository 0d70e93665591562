import { limits } from "../base/index.ts";

/** Requests in flight at this node, of all connections together. */
export class Crowd {
  private requests = 0;
  private bytes = 0;
  /** How many connections share it. */
  private readonly connections: () => number;

  constructor(connections: () => number) {
    this.connections = connections;
  }

  entered(bytes: number): void {
    this.requests++;
    this.bytes += bytes;
  }

  left(requests: number, bytes: number): void {
    this.requests -= requests;
    this.bytes -= bytes;
  }

  /**
   * Whether there are too many and this connection has more than its share of them: whoever floods is
   * refused first. Those with less than the average pass, so that the limit is exceeded by little.
   */
  isTooMuch(own: { readonly requests: number; readonly bytes: number }): boolean {
    const { bytes, requests } = this;
    if (requests <= limits.gateRequestsMax && bytes <= limits.gateBytesMax) return false;
    const sharers = this.connections();
    return (
      (requests > limits.gateRequestsMax && own.requests * sharers > requests) ||
      (bytes > limits.gateBytesMax && own.bytes * sharers > bytes)
    );
  }
}
