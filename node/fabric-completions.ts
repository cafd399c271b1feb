/** The calls of user processes that tell what came of operations: queues, counters, events. */
import { z } from 'zod';
import type { Scheduler } from '../common/scheduler.ts';
import * as cntr from './fabric/cntr.ts';
import { fi_cq_read, fi_cq_readerr, fi_cq_signal, fi_cq_sread } from './fabric/cq.ts';
import { fi_ep_counters } from './fabric/endpoint.ts';
import * as eq from './fabric/eq.ts';
import { call, count, type FabricCall, fid, readEntries, timeoutMs } from './fabric-schema.ts';

/** Longest name of an event, and longest text that belongs to one. */
const EVENT_LENGTH_MAX = 256;

const onCq = z.strictObject({ cq: fid });
const onCounter = z.strictObject({ cntr: fid });
const onEq = z.strictObject({ eq: fid });
const onEndpoint = z.strictObject({ endpoint: fid });
const peeking = { flags: z.array(z.literal('FI_PEEK')).max(1) };
const eventText = z.string().max(EVENT_LENGTH_MAX);

export function completionCalls(scheduler: Scheduler): Readonly<Record<string, FabricCall>> {
  return { ...queueCalls(scheduler), ...counterCalls(), ...eventCalls() };
}

function queueCalls(scheduler: Scheduler): Readonly<Record<string, FabricCall>> {
  return {
    fi_cq_read: call(onCq.extend({ max: readEntries }), (state, { cq, max }) =>
      fi_cq_read(state.get(cq, 'FI_CLASS_CQ'), max),
    ),
    fi_cq_sread: call(onCq.extend({ max: readEntries, timeoutMs }), (state, argument) =>
      fi_cq_sread(state.get(argument.cq, 'FI_CLASS_CQ'), argument.max, argument.timeoutMs),
    ),
    fi_cq_readerr: call(onCq, (state, { cq }) => fi_cq_readerr(state.get(cq, 'FI_CLASS_CQ'))),
    fi_cq_signal: call(onCq, (state, { cq }) => fi_cq_signal(state.get(cq, 'FI_CLASS_CQ'))),
    fi_ep_counters: call(onEndpoint, (state, { endpoint }) => ({
      ...fi_ep_counters(state.get(endpoint, 'FI_CLASS_EP')),
    })),
    waitForProgress: call(onEndpoint.extend({ timeoutMs }), (state, argument) => {
      state.get(argument.endpoint, 'FI_CLASS_EP');
      const signal = state.signal(argument.endpoint);
      return signal.wait(state.process, scheduler, argument.timeoutMs);
    }),
  };
}

function counterCalls(): Readonly<Record<string, FabricCall>> {
  const change = onCounter.extend({ value: count });
  return {
    fi_cntr_read: call(onCounter, (state, argument) =>
      cntr.fi_cntr_read(state.get(argument.cntr, 'FI_CLASS_CNTR')),
    ),
    fi_cntr_readerr: call(onCounter, (state, argument) =>
      cntr.fi_cntr_readerr(state.get(argument.cntr, 'FI_CLASS_CNTR')),
    ),
    fi_cntr_add: call(change, (state, argument) =>
      cntr.fi_cntr_add(state.get(argument.cntr, 'FI_CLASS_CNTR'), argument.value),
    ),
    fi_cntr_set: call(change, (state, argument) =>
      cntr.fi_cntr_set(state.get(argument.cntr, 'FI_CLASS_CNTR'), argument.value),
    ),
    fi_cntr_wait: call(
      onCounter.extend({ threshold: count, timeoutMs }),
      (state, { threshold, timeoutMs, ...rest }) =>
        cntr.fi_cntr_wait(state.get(rest.cntr, 'FI_CLASS_CNTR'), threshold, timeoutMs),
    ),
  };
}

function eventCalls(): Readonly<Record<string, FabricCall>> {
  const written = z.strictObject({ event: eventText, data: z.union([z.number(), eventText]) });
  return {
    fi_eq_read: call(onEq.extend(peeking), (state, argument) =>
      eq.fi_eq_read(state.get(argument.eq, 'FI_CLASS_EQ'), argument.flags),
    ),
    fi_eq_sread: call(onEq.extend({ ...peeking, timeoutMs }), (state, argument) =>
      eq.fi_eq_sread(state.get(argument.eq, 'FI_CLASS_EQ'), argument.timeoutMs, argument.flags),
    ),
    fi_eq_readerr: call(onEq.extend(peeking), (state, argument) => {
      const error = eq.fi_eq_readerr(state.get(argument.eq, 'FI_CLASS_EQ'), argument.flags);
      return typeof error === 'string' ? error : { ...error, fid: state.numberOf(error.fid) };
    }),
    fi_eq_write: call(onEq.extend({ event: written }), (state, { event, ...rest }) =>
      eq.fi_eq_write(state.get(rest.eq, 'FI_CLASS_EQ'), event),
    ),
  };
}
