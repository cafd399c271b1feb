/**
 * libfabric for user processes: the other end of `fabric-api.ts`. As HCCL's, the library runs in the
 * host, in the process's name and until its end. Objects are named by number; memory by address in
 * the process, or by a registered region.
 *
 * What is malformed fails with EINVAL, memory outside of the process with EFAULT. What libfabric
 * itself answers is a value: `{ value }` or `{ error }`.
 */
import { z } from 'zod';
import { type FiAv, fi_av_insert, fi_av_lookup, fi_av_open, fi_av_remove } from './fabric/av.ts';
import { fi_close } from './fabric/close.ts';
import { type FiCntr, fi_cntr_open } from './fabric/cntr.ts';
import { type FiCq, fi_cq_open } from './fabric/cq.ts';
import { fi_domain, fi_fabric } from './fabric/domain.ts';
import {
  type FiBindFlag,
  fi_enable,
  fi_endpoint,
  fi_ep_bind,
  fi_getname,
} from './fabric/endpoint.ts';
import { type FiEq, fi_eq_open } from './fabric/eq.ts';
import { type Fid, type FiInfo, type FiMr, isFiErrno } from './fabric/fabric.ts';
import { fi_getinfo } from './fabric/info.ts';
import { fi_mr_regattr } from './fabric/mr.ts';
import { completionCalls } from './fabric-completions.ts';
import { FabricProcess, FabricRefusal, type Signal } from './fabric-process.ts';
import {
  call,
  count,
  endpointNames,
  type FabricCall,
  fiAddr,
  fid,
  getinfo,
  info,
  mrRegistration,
  uint32,
} from './fabric-schema.ts';
import { transferCalls } from './fabric-transfers.ts';
import { fromSystemCallValue, toSystemCallValue } from './fabric-values.ts';
import type { SimProcess } from './process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from './process/system-call.ts';
import type { SystemCallTable } from './process/system-call-table.ts';
import type { Nic } from './verbs/nic.ts';

const BIND_FLAGS = [
  'FI_TRANSMIT',
  'FI_RECV',
  'FI_SELECTIVE_COMPLETION',
  'FI_SEND',
  'FI_READ',
  'FI_WRITE',
  'FI_REMOTE_WRITE',
  'FI_REMOTE_READ',
] as const satisfies readonly FiBindFlag[];

const avAddress = z.strictObject({ av: fid, address: fiAddr });
const cqInit = z.strictObject({
  domain: fid,
  size: count,
  format: z
    .enum([
      'FI_CQ_FORMAT_CONTEXT',
      'FI_CQ_FORMAT_MSG',
      'FI_CQ_FORMAT_DATA',
      'FI_CQ_FORMAT_TAGGED',
      'FI_CQ_FORMAT_UNSPEC',
    ])
    .exactOptional(),
});
const cntrInit = z.strictObject({
  domain: fid,
  events: z.enum(['FI_CNTR_EVENTS_COMP', 'FI_CNTR_EVENTS_BYTES']).exactOptional(),
});
const eqInit = z.strictObject({
  fabric: fid,
  size: count,
  flags: z.array(z.enum(['FI_WRITE', 'FI_AFFINITY'])).max(2),
});
const binding = z.strictObject({
  endpoint: fid,
  object: fid,
  flags: z.array(z.enum(BIND_FLAGS)).max(BIND_FLAGS.length).exactOptional(),
});
const endpointInit = z.strictObject({ domain: fid, info, epoch: uint32 });

/** Registers the `fi_*` calls in a host's table. */
export function registerFabricCalls(table: SystemCallTable, nic: Nic): void {
  const processes = new Map<SimProcess, FabricProcess>();
  const stateOf = (process: SimProcess): FabricProcess => {
    if (process.state === 'exited') throw errnoFailure('EINTR', 'the process has ended');
    const known = processes.get(process);
    if (known !== undefined) return known;
    const made = new FabricProcess(process);
    processes.set(process, made);
    // The domains close by hooks of their own.
    process.onExit(() => processes.delete(process));
    return made;
  };
  const calls = {
    ...objectCalls(nic),
    ...queueCalls(nic),
    ...endpointCalls(nic),
    ...transferCalls(),
    ...completionCalls(nic.scheduler),
  };
  for (const [name, serve] of Object.entries(calls)) {
    table.register(name, (caller, argument) =>
      answerOf(() => serve(stateOf(caller), fromSystemCallValue(argument))),
    );
  }
}

/** Calls that make objects, look at them and end them. */
function objectCalls(nic: Nic): Readonly<Record<string, FabricCall>> {
  return {
    fi_getinfo: call(getinfo, (_state, { hints, ...options }) => fi_getinfo(nic, hints, options)),
    fi_fabric: call(z.strictObject({ info }), async (state, argument) => {
      const { fid } = await state.add(0, () => fi_fabric(ownInfo(nic, argument.info)));
      return { fid };
    }),
    fi_domain: call(z.strictObject({ fabric: fid, info }), async (state, argument) => {
      const fabric = state.get(argument.fabric, 'FI_CLASS_FABRIC');
      const { process } = state;
      const chosen = ownInfo(nic, argument.info);
      return numberOf(await state.add(0, () => fi_domain(fabric, chosen, { nic, process })));
    }),
    fi_av_open: call(z.strictObject({ domain: fid }), async (state, argument) => {
      const domain = state.get(argument.domain, 'FI_CLASS_DOMAIN');
      return numberOf(await state.add(argument.domain, () => fi_av_open(domain)));
    }),
    fi_av_insert: call(z.strictObject({ av: fid, names: endpointNames }), (state, { av, names }) =>
      fi_av_insert(state.get(av, 'FI_CLASS_AV'), names),
    ),
    fi_av_remove: call(avAddress, (state, { av, address }) =>
      fi_av_remove(state.get(av, 'FI_CLASS_AV'), address),
    ),
    fi_av_lookup: call(avAddress, (state, { av, address }) =>
      fi_av_lookup(state.get(av, 'FI_CLASS_AV'), address),
    ),
    fi_mr_regattr: call(mrRegistration, async (state, { domain, attr, flags }) => {
      const owner = state.get(domain, 'FI_CLASS_DOMAIN');
      const { host, ...rest } = attr;
      const memory = host && { bytes: state.userBytes(host), base_addr: host.base_addr };
      const wanted = memory === undefined ? rest : { ...rest, host: memory };
      const made = await state.add(domain, () => fi_mr_regattr(owner, wanted, flags));
      const { key, address, length } = made.object;
      return { fid: made.fid, key, address, length };
    }),
    fi_close: call(z.strictObject({ object: fid }), async (state, { object }) => {
      const closing = state.any(object);
      const error = fi_close(closing);
      if (error !== undefined) return error;
      state.remove(object);
      // C returns when the hardware has let go.
      if (closing.fclass === 'FI_CLASS_MR') await (closing as FiMr).released;
      return undefined;
    }),
  };
}

/** Calls that make queues and counters. */
function queueCalls(nic: Nic): Readonly<Record<string, FabricCall>> {
  const { scheduler } = nic;
  return {
    fi_cq_open: call(cqInit, async (state, { domain, ...init }) => {
      const owner = state.get(domain, 'FI_CLASS_DOMAIN');
      return numberOf(await state.add(domain, () => fi_cq_open(owner, init)));
    }),
    fi_cntr_open: call(cntrInit, async (state, { domain, ...attr }) => {
      const owner = state.get(domain, 'FI_CLASS_DOMAIN');
      return numberOf(await state.add(domain, () => fi_cntr_open(owner, attr)));
    }),
    fi_eq_open: call(eqInit, async (state, { fabric, ...attr }) => {
      const owner = state.get(fabric, 'FI_CLASS_FABRIC');
      return numberOf(await state.add(0, () => fi_eq_open(owner, { ...attr, scheduler })));
    }),
  };
}

function endpointCalls(nic: Nic): Readonly<Record<string, FabricCall>> {
  const endpoint = z.strictObject({ endpoint: fid });
  return {
    fi_endpoint: call(endpointInit, async (state, argument) => {
      const { epoch } = argument;
      const domain = state.get(argument.domain, 'FI_CLASS_DOMAIN');
      const chosen = ownInfo(nic, argument.info);
      const make = (signal: Signal) =>
        fi_endpoint(domain, chosen, { epoch, onProgress: () => signal.raise() });
      return numberOf(await state.add(argument.domain, make));
    }),
    fi_ep_bind: call(binding, (state, { endpoint, object, flags }) => {
      const bound = state.any(object);
      if (!isBindable(bound)) return 'FI_EINVAL';
      // Event queues belong to the fabric, of which a domain is a part.
      const isOwn = bound.fclass === 'FI_CLASS_EQ' || state.areOfOneDomain(endpoint, object);
      return isOwn ? fi_ep_bind(state.get(endpoint, 'FI_CLASS_EP'), bound, flags) : 'FI_EDOMAIN';
    }),
    fi_enable: call(endpoint, (state, argument) =>
      fi_enable(state.get(argument.endpoint, 'FI_CLASS_EP')),
    ),
    fi_getname: call(endpoint, (state, argument) =>
      fi_getname(state.get(argument.endpoint, 'FI_CLASS_EP')),
    ),
  };
}

function isBindable(object: Fid): object is FiAv | FiCq | FiCntr | FiEq {
  return /^FI_CLASS_(AV|CQ|CNTR|EQ)$/.test(object.fclass);
}

function numberOf({ fid }: { readonly fid: number }) {
  return { fid };
}

/** What a user hands back is looked up again: only what this NIC offers may be opened. */
function ownInfo(nic: Nic, wanted: FiInfo): FiInfo {
  const infos = fi_getinfo(nic, wanted);
  const [first] = isFiErrno(infos) ? [] : infos;
  if (first === undefined) throw new FabricRefusal('FI_EINVAL');
  return first;
}

async function answerOf(serve: () => unknown): Promise<SystemCallValue> {
  try {
    const result = await serve();
    return isFiErrno(result) ? { error: result } : { value: toSystemCallValue(result) };
  } catch (reason) {
    if (reason instanceof FabricRefusal) return { error: reason.errno };
    throw reason;
  }
}
