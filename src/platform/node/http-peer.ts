import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { formatAddress } from "../../ports/index.ts";

export function peerOf(socket: Socket | undefined): string {
  return formatAddress({ host: socket?.remoteAddress ?? "unknown", port: socket?.remotePort ?? 0 });
}

/** The common name of a client's certificate that was verified. */
export function subjectOf(socket: Socket | undefined): string | undefined {
  const tls = socket as Partial<TLSSocket> | undefined;
  if (tls?.authorized !== true) return undefined;
  const name: string | readonly string[] | undefined = tls.getPeerCertificate?.().subject?.CN;
  return typeof name === "string" ? name : name?.[0];
}
