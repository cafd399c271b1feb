/**
 * In what way a later step of a rank waits for an earlier one that touches the same places. `tasks.ts` of the
 * collectives says that it does; here is whether slice by slice, and whether for the work or for the message.
 */
import type { MemoryMap } from '../../collectives/memory.ts';
import { readsOf, type Step, sends } from '../../collectives/program.ts';
import type { Place } from '../../collectives/schedule.ts';

export interface PlaceOrder {
  /** All places that they have in common are the same run of chunks to both: slice s waits for slice s. */
  readonly isSliced: boolean;
  /** What the earlier one sends lies where the later one writes: it must have left the card. */
  readonly hasToLeave: boolean;
}

export function placeOrder(earlier: Step, later: Step, memory: MemoryMap): PlaceOrder {
  let isSliced = earlier.count === later.count;
  let hasToLeave = false;
  const compare = (before: Place, after: Place): boolean => {
    const [a, b] = [memory.locate(before), memory.locate(after)];
    if (a >= b + later.count || b >= a + earlier.count) return false;
    if (a !== b) isSliced = false;
    return true;
  };
  if (earlier.dst !== undefined) for (const place of readsOf(later)) compare(earlier.dst, place);
  if (later.dst === undefined) return { isSliced, hasToLeave };
  const written = later.dst;
  const sent = sends(earlier.kind) ? (earlier.dst ?? earlier.src) : undefined;
  for (const place of readsOf(earlier)) compare(place, written);
  if (earlier.dst !== undefined) compare(earlier.dst, written);
  if (sent !== undefined && earlier.kind !== 'recvReduceSend') hasToLeave = compare(sent, written);
  return { isSliced, hasToLeave };
}
