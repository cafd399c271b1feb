/** Puts the messages of a communicator on its endpoint and device. */
import type { Rank } from '../../collectives/schedule.ts';
import { messageOf } from '../../common/errors.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FiEndpoint } from '../fabric/endpoint.ts';
import type { FiAddr } from '../fabric/fabric.ts';
import type { DeviceSession } from './device-session.ts';
import { copyOnDevice } from './device-work.ts';
import { fabricFailure, type HcclFailure, resultOf } from './failure.ts';
import { MessageWire } from './message-wire.ts';
import { PointToPoint } from './point-to-point.ts';

export interface PointToPointSetup {
  readonly rank: Rank;
  readonly session: DeviceSession;
  readonly scheduler: Scheduler;
  readonly timeoutMs: number;
  readonly endpoint: FiEndpoint;
  readonly addresses: ReadonlyMap<Rank, FiAddr>;
  /** See `PointToPointInit`. */
  landed(use: () => void): void;
  /** The communicator is broken. */
  fail(failure: HcclFailure): void;
}

/** Ready for messages from here on. */
export function openPointToPoint(setup: PointToPointSetup): PointToPoint {
  const { rank, session, scheduler, timeoutMs, endpoint, addresses, landed, fail } = setup;
  const ranks = new Map([...addresses].map(([peer, address]) => [address, peer]));
  const wire = new MessageWire({
    endpoint,
    addresses,
    failed: (what, peer, error) => {
      const towards = peer === undefined ? '' : ` for rank ${peer}`;
      fail(fabricFailure(`${what} of rank ${rank}${towards}`, error));
    },
  });
  return new PointToPoint({
    rank,
    wire,
    scheduler,
    timeoutMs,
    rankOf: (source) => ranks.get(source),
    copy: (from, to, done) => {
      copyOnDevice(session, from, to).then(done, (reason: unknown) => {
        const message = `A message of rank ${rank} to itself failed: ${messageOf(reason)}`;
        fail({ result: resultOf(reason), message });
      });
    },
    landed,
    fail,
  });
}
