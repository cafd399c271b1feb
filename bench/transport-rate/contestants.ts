/** What is compared: a socket of Node.js, a bare link, and RDMA WRITE over a link. */
import type { End, EndInit } from './end.ts';
import { LinkEnd } from './link-end.ts';
import { SocketEnd } from './socket-end.ts';
import { VerbsEnd } from './verbs-end.ts';

/** What one run moves, in each direction that it has. */
export const RUN_BYTES = 64 * 1024 * 1024;

export const CONTESTANTS = ['node', 'link', 'verbs'] as const;
export type Contestant = (typeof CONTESTANTS)[number];

export function createEnd(contestant: Contestant, init: EndInit): Promise<End> {
  if (contestant === 'node') return SocketEnd.create(init);
  return contestant === 'link' ? LinkEnd.create(init) : VerbsEnd.create(init);
}
