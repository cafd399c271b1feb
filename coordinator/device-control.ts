/** What clients ask about devices, and what hosts answer: the two machines for it, side by side. */
import { inquiryDeadlineMs, NO_INQUIRIES, stepInquiries } from './device-inquiries.ts';
import type { OutwardEffect, PeerId } from './effect.ts';
import { evictionDeadlineMs, NO_EVICTIONS, stepEvictions } from './evictions.ts';
import type { ClientToCoordinator, Failure, HostToCoordinator } from './hlcp/messages.ts';
import type { Membership } from './membership.ts';

/** What clients ask about devices. */
export type DeviceQuestion = Extract<
  ClientToCoordinator,
  { type: 'HLCP_DEVICE_STATUS' | 'HLCP_EVICT' }
>;
/** What hosts say about devices. */
export type DeviceAnswer = Extract<
  HostToCoordinator,
  { type: 'HLCP_DEVICE_REPORT' | 'HLCP_EVICT_STEP' | 'HLCP_EVICT_DONE' }
>;

export function isDeviceAnswer(message: HostToCoordinator): message is DeviceAnswer {
  switch (message.type) {
    case 'HLCP_DEVICE_REPORT':
    case 'HLCP_EVICT_STEP':
    case 'HLCP_EVICT_DONE':
      return true;
    default:
      return false;
  }
}

/** What both machines hear of. */
type SharedEvent =
  | { readonly type: 'hostLost'; readonly peer: PeerId; readonly failure: Failure }
  | { readonly type: 'clientGone'; readonly client: PeerId }
  | { readonly type: 'tick' };

export class DeviceControl {
  readonly #emit: (effect: OutwardEffect) => void;
  #inquiries = NO_INQUIRIES;
  #evictions = NO_EVICTIONS;

  /** `emit` takes the effects, in order. */
  constructor(emit: (effect: OutwardEffect) => void) {
    this.#emit = emit;
  }

  /** When a `tick` is due; `undefined` for what is not bounded by time. */
  deadlinesMs(): (number | undefined)[] {
    return [inquiryDeadlineMs(this.#inquiries), evictionDeadlineMs(this.#evictions)];
  }

  ask(client: PeerId, message: DeviceQuestion, membership: Membership, now: number): void {
    if (message.type === 'HLCP_EVICT') {
      this.#stepEvictions({ type: 'asked', client, message, membership }, now);
    } else {
      const { members } = membership;
      this.#stepInquiries({ type: 'asked', client, message, members }, now);
    }
  }

  answer(peer: PeerId, message: DeviceAnswer, now: number): void {
    if (message.type === 'HLCP_DEVICE_REPORT') {
      this.#stepInquiries({ type: 'answered', peer, message }, now);
    } else {
      this.#stepEvictions({ type: 'answered', peer, message }, now);
    }
  }

  step(event: SharedEvent, now: number): void {
    this.#stepInquiries(event, now);
    this.#stepEvictions(event, now);
  }

  #stepInquiries(event: Parameters<typeof stepInquiries>[1], now: number): void {
    const { state, effects } = stepInquiries(this.#inquiries, event, now);
    this.#inquiries = state;
    for (const effect of effects) this.#emit(effect);
  }

  #stepEvictions(event: Parameters<typeof stepEvictions>[1], now: number): void {
    const { state, effects } = stepEvictions(this.#evictions, event, now);
    this.#evictions = state;
    for (const effect of effects) this.#emit(effect);
  }
}
