/** From the name of a host to its addresses: DNS, the hosts file, whatever the platform asks. */
export interface Names {
  /**
   * All IPv4 and IPv6 addresses that the name has now, each once, in ascending order of their text; asked anew at each call,
   * nothing is remembered. Empty when there is no such name or it has no address. An address is a name of itself. Rejects
   * with `StreamError` "unreachable" when nobody could be asked.
   */
  resolve(name: string): Promise<readonly string[]>;
}
