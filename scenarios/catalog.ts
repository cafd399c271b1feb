/** Every scenario, in the order of its number. */
import { flush, retriedPost } from './runs/collectives.ts';
import { exfiltration } from './runs/exfiltration.ts';
import { descriptorZero, earlyDescriptor, failedRegistration, selfImport } from './runs/export.ts';
import { closeWithDmaBuf, openErrors, resetExhausted } from './runs/open.ts';
import { closedMidFlight, lostAcknowledgement, staleKey } from './runs/rdma.ts';
import { peerExits } from './runs/rendezvous.ts';
import {
  deferredUnmap,
  deregistrationRace,
  fenceRace,
  lockInversion,
  resetThenClose,
  stalledPeer,
} from './runs/revocation.ts';
import type { Scenario } from './scenario.ts';

export const SCENARIOS: readonly Scenario[] = [
  exfiltration,
  closeWithDmaBuf,
  earlyDescriptor,
  failedRegistration,
  deregistrationRace,
  lockInversion,
  deferredUnmap,
  selfImport,
  resetThenClose,
  stalledPeer,
  fenceRace,
  closedMidFlight,
  staleKey,
  lostAcknowledgement,
  peerExits,
  retriedPost,
  descriptorZero,
  flush,
  resetExhausted,
  openErrors,
];

/** By name or number; `undefined` if there is none. */
export function findScenario(name: string): Scenario | undefined {
  return SCENARIOS.find((one) => one.name === name || one.id === name.toUpperCase());
}
