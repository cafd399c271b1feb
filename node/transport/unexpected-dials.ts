/**
 * Connections of peers that `connect` was not called for yet. Two peers learn of each other at
 * slightly different moments, so the earlier one's dial is kept for `CONNECT_MS`. Nothing travels on
 * it meanwhile.
 */
import type { CancelTimer, Scheduler } from '../../common/scheduler.ts';
import { refuseFrames } from './frame-receiver.ts';
import type { AcceptedConnection, Closure } from './link-medium.ts';
import { CONNECT_MS } from './transport.ts';

/** More dials than this from hosts that nobody expects are asked to try again. */
export const UNEXPECTED_DIALS_MAX = 256;

interface HeldDial {
  readonly connection: AcceptedConnection;
  readonly cancelExpiry: CancelTimer;
}

export class UnexpectedDials {
  readonly #held = new Map<string, HeldDial>();
  readonly #scheduler: Scheduler;
  readonly #violated: (nodeId: string, reason: string) => void;

  /** `violated` is told of a frame that comes before the link is in use. */
  constructor(scheduler: Scheduler, violated: (nodeId: string, reason: string) => void) {
    this.#scheduler = scheduler;
    this.#violated = violated;
  }

  get isFull(): boolean {
    return this.#held.size >= UNEXPECTED_DIALS_MAX;
  }

  has(nodeId: string): boolean {
    return this.#held.has(nodeId);
  }

  /** A dial must have a higher incarnation than this to be let in. */
  newestIncarnation(nodeId: string): number {
    return this.#held.get(nodeId)?.connection.incarnation ?? 0;
  }

  /** Keeps the connection; an earlier one of the same host is a dead one and is closed. */
  hold(connection: AcceptedConnection): void {
    const { nodeId } = connection;
    this.take(nodeId)?.close('DISCONNECTED', 'The peer has dialled again');
    const cancelExpiry = this.#scheduler.after(CONNECT_MS, () => {
      this.#held.delete(nodeId);
      connection.close('GAVE_UP', `Nobody asked for a link to ${nodeId} in ${CONNECT_MS} ms`);
    });
    this.#held.set(nodeId, { connection, cancelExpiry });
    connection.bind({
      reader: refuseFrames(`Expected no frame from ${nodeId} before the link is in use`),
      drained: () => undefined,
      closed: (closure) => this.#closed(nodeId, closure),
    });
  }

  /** Hands the connection over, if there is one. */
  take(nodeId: string): AcceptedConnection | undefined {
    const held = this.#held.get(nodeId);
    held?.cancelExpiry();
    this.#held.delete(nodeId);
    return held?.connection;
  }

  close(): void {
    for (const nodeId of [...this.#held.keys()]) {
      this.take(nodeId)?.close('GOING_AWAY', 'This host is going away');
    }
  }

  #closed(nodeId: string, closure: Closure): void {
    this.take(nodeId);
    if (closure.kind === 'violated') this.#violated(nodeId, closure.reason);
  }
}
