/**
 * Where hosts of one machine find each other's links without TCP: an abstract Unix socket (unix(7)),
 * which has no file, is gone with its process, and is seen within one network namespace only. Its
 * name follows from what a dialler knows: the node id, and the port where the host's links are.
 */
import type { LinkAddress } from './transport.ts';

/** Hosts that cannot have abstract sockets have none: others have no such names. */
export function unixSocketPath(nodeId: string, { port }: Pick<LinkAddress, 'port'>): string {
  return `\0hlsim-${port}-${nodeId}`;
}
