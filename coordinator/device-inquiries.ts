/**
 * `HLCP_DEVICE_STATUS`: a client asks how the devices are, every host is asked, each answers with one
 * `HLCP_DEVICE_REPORT`, which goes to the client, and `HLCP_DEVICE_STATUS_DONE` ends it.
 *
 * The coordinator knows no device. It numbers the questions, so that several clients may ask at once,
 * and sees to it that each has an end: a host that is lost meanwhile, or says nothing in time, is named
 * there. Answers that come later are dropped.
 */

import { type AskedHost, askedHost, silentHostError, tooManyError } from './asked-host.ts';
import type { OutwardEffect, PeerId } from './effect.ts';
import type { HostFailure } from './hlcp/device-messages.ts';
import type { ClientToCoordinator, Failure, HostToCoordinator } from './hlcp/messages.ts';
import { failureOf } from './hlcp/refusal.ts';
import type { Member } from './membership.ts';

/** How long a host may take to describe its devices: it only has to look. */
export const DEVICE_STATUS_TIMEOUT_MS = 2_000;
/** Questions under way, of all clients together. */
export const DEVICE_INQUIRIES_MAX = 64;

interface Inquiry {
  /** What the hosts are told. */
  readonly id: number;
  readonly client: PeerId;
  /** The client's own number. */
  readonly requestId: number;
  readonly deadlineMs: number;
  readonly awaited: readonly AskedHost[];
  readonly failures: readonly HostFailure[];
}

export interface Inquiries {
  readonly lastId: number;
  /** In the order in which they came. */
  readonly open: readonly Inquiry[];
}

export const NO_INQUIRIES: Inquiries = { lastId: 0, open: [] };

export type InquiryEvent =
  | {
      readonly type: 'asked';
      readonly client: PeerId;
      readonly message: Extract<ClientToCoordinator, { type: 'HLCP_DEVICE_STATUS' }>;
      readonly members: readonly Member[];
    }
  | {
      readonly type: 'answered';
      readonly peer: PeerId;
      readonly message: Extract<HostToCoordinator, { type: 'HLCP_DEVICE_REPORT' }>;
    }
  | { readonly type: 'hostLost'; readonly peer: PeerId; readonly failure: Failure }
  | { readonly type: 'clientGone'; readonly client: PeerId }
  | { readonly type: 'tick' };

export interface InquiryStep {
  readonly state: Inquiries;
  readonly effects: readonly OutwardEffect[];
}

export function stepInquiries(state: Inquiries, event: InquiryEvent, now: number): InquiryStep {
  switch (event.type) {
    case 'asked':
      return ask(state, event, now);
    case 'answered':
      return answer(state, event);
    case 'hostLost':
      return loseHost(state, event);
    case 'clientGone': {
      const open = state.open.filter(({ client }) => client !== event.client);
      return { state: { ...state, open }, effects: [] };
    }
    case 'tick':
      return tick(state, now);
  }
}

/** When a `tick` is due at the latest; `undefined` while nobody waits. */
export function inquiryDeadlineMs({ open }: Inquiries): number | undefined {
  return open.length === 0 ? undefined : Math.min(...open.map(({ deadlineMs }) => deadlineMs));
}

function ask(
  state: Inquiries,
  { client, message, members }: Extract<InquiryEvent, { type: 'asked' }>,
  now: number,
): InquiryStep {
  const id = state.lastId + 1;
  const inquiry: Inquiry = {
    id,
    client,
    requestId: message.requestId,
    deadlineMs: now + DEVICE_STATUS_TIMEOUT_MS,
    awaited: members.map(askedHost),
    failures: [],
  };
  const { awaited } = inquiry;
  if (state.open.length >= DEVICE_INQUIRIES_MAX) {
    const failure = failureOf(tooManyError('questions about devices', DEVICE_INQUIRIES_MAX));
    return {
      state,
      effects: [
        end(
          inquiry,
          awaited.map((host) => failed(host, failure)),
        ),
      ],
    };
  }
  if (awaited.length === 0) return { state, effects: [end(inquiry, [])] };
  return {
    state: { lastId: id, open: [...state.open, inquiry] },
    effects: awaited.map(({ peer }) => ({
      type: 'toHost',
      peer,
      message: { type: 'HLCP_DEVICE_STATUS', requestId: id },
    })),
  };
}

/** A second answer of a host, or one that nobody asked for, is nothing. */
function answer(
  state: Inquiries,
  { peer, message }: Extract<InquiryEvent, { type: 'answered' }>,
): InquiryStep {
  const inquiry = state.open.find(({ id }) => id === message.requestId);
  const host = inquiry?.awaited.find((each) => each.peer === peer);
  if (inquiry === undefined || host === undefined) return { state, effects: [] };
  const { client, requestId, awaited } = inquiry;
  const { index, hostname } = host;
  const report = { ...message, requestId, host: { index, hostname } };
  const rest = proceed({ ...inquiry, awaited: awaited.filter((each) => each !== host) });
  return {
    state: replace(state, inquiry, rest.inquiry),
    effects: [{ type: 'toClient', peer: client, message: report }, ...rest.effects],
  };
}

function loseHost(
  state: Inquiries,
  { peer, failure }: Extract<InquiryEvent, { type: 'hostLost' }>,
): InquiryStep {
  const steps = state.open.map((inquiry) => {
    const host = inquiry.awaited.find((each) => each.peer === peer);
    if (host === undefined) return { inquiry, effects: [] };
    const awaited = inquiry.awaited.filter((each) => each !== host);
    const failures = [...inquiry.failures, failed(host, failure)];
    return proceed({ ...inquiry, awaited, failures });
  });
  return {
    state: { ...state, open: steps.flatMap(({ inquiry }) => inquiry ?? []) },
    effects: steps.flatMap(({ effects }) => effects),
  };
}

function tick(state: Inquiries, now: number): InquiryStep {
  const late = state.open.filter(({ deadlineMs }) => deadlineMs <= now);
  return {
    state: { ...state, open: state.open.filter((inquiry) => !late.includes(inquiry)) },
    effects: late.map((inquiry) => {
      const silent = inquiry.awaited.map((host) =>
        failed(host, failureOf(silentHostError(host, DEVICE_STATUS_TIMEOUT_MS))),
      );
      return end(inquiry, [...inquiry.failures, ...silent]);
    }),
  };
}

/** The inquiry, or its end if there is no host left to wait for. */
function proceed(inquiry: Inquiry): {
  readonly inquiry: Inquiry | undefined;
  readonly effects: readonly OutwardEffect[];
} {
  if (inquiry.awaited.length > 0) return { inquiry, effects: [] };
  return { inquiry: undefined, effects: [end(inquiry, inquiry.failures)] };
}

function replace(state: Inquiries, old: Inquiry, next: Inquiry | undefined): Inquiries {
  const open = state.open.flatMap((each) => (each === old ? (next ?? []) : each));
  return { ...state, open };
}

function failed({ index, hostname }: AskedHost, failure: Failure): HostFailure {
  return { host: { index, hostname }, failure };
}

function end({ client, requestId }: Inquiry, failures: readonly HostFailure[]): OutwardEffect {
  return {
    type: 'toClient',
    peer: client,
    message: { type: 'HLCP_DEVICE_STATUS_DONE', requestId, failures: [...failures] },
  };
}
