/** The calls of user processes that move data. */
import type { z } from 'zod';
import { fi_atomic, fi_compare_atomic, fi_fetch_atomic } from './fabric/atomic.ts';
import { type FiEndpoint, fi_cancel } from './fabric/endpoint.ts';
import type { FiBuffer, FiErrno, FiMrBuffer, FiReceiveBuffer } from './fabric/fabric.ts';
import * as msg from './fabric/msg.ts';
import * as rmaCalls from './fabric/rma.ts';
import * as tagged from './fabric/tagged.ts';
import type { FabricProcess } from './fabric-process.ts';
import {
  atomic,
  type buffer,
  call,
  compareAtomic,
  type FabricCall,
  fetchAtomic,
  injection,
  match,
  message,
  operation,
  receive,
  rma,
  tag,
} from './fabric-schema.ts';

type Buffer = z.infer<typeof buffer>;

export function transferCalls(): Readonly<Record<string, FabricCall>> {
  return { ...messageCalls(), ...taggedCalls(), ...memoryCalls(), ...atomicCalls() };
}

/** Without flags those of the endpoint hold, as for the calls of C that take none. */
function messageCalls(): Readonly<Record<string, FabricCall>> {
  return {
    fi_sendmsg: call(message, (state, { endpoint, buffer, flags, ...rest }) =>
      post(state, endpoint, (ep) => {
        const from = bufferOf(state, buffer);
        if (flags !== undefined) return msg.fi_sendmsg(ep, { ...rest, buffer: from }, flags);
        const { data, dest, context } = rest;
        if (data === undefined) return msg.fi_send(ep, from, dest, context);
        return msg.fi_senddata(ep, from, data, dest, context);
      }),
    ),
    fi_inject: call(injection, (state, { endpoint, buffer, data, dest }) =>
      post(state, endpoint, (ep) => {
        const bytes = state.userBytes(buffer);
        if (data === undefined) return msg.fi_inject(ep, bytes, dest);
        return msg.fi_injectdata(ep, bytes, data, dest);
      }),
    ),
    fi_recvmsg: call(receive, (state, { endpoint, buffer, flags, source, context }) =>
      post(state, endpoint, (ep) => {
        const into = landingOf(state, buffer);
        if (flags === undefined) return msg.fi_recv(ep, into, source, context);
        return msg.fi_recvmsg(ep, { buffer: into, source, context }, flags);
      }),
    ),
    fi_cancel: call(operation, (state, { endpoint, context }) =>
      fi_cancel(state.get(endpoint, 'FI_CLASS_EP'), context),
    ),
  };
}

function taggedCalls(): Readonly<Record<string, FabricCall>> {
  return {
    fi_tsendmsg: call(message.extend(tag), (state, { endpoint, buffer, flags, ...rest }) =>
      post(state, endpoint, (ep) => {
        const from = bufferOf(state, buffer);
        if (flags !== undefined) return tagged.fi_tsendmsg(ep, { ...rest, buffer: from }, flags);
        const { data, dest, tag, context } = rest;
        if (data === undefined) return tagged.fi_tsend(ep, from, dest, tag, context);
        return tagged.fi_tsenddata(ep, from, data, dest, tag, context);
      }),
    ),
    fi_tinject: call(injection.extend(tag), (state, { endpoint, buffer, data, dest, tag }) =>
      post(state, endpoint, (ep) => {
        const bytes = state.userBytes(buffer);
        if (data === undefined) return tagged.fi_tinject(ep, bytes, dest, tag);
        return tagged.fi_tinjectdata(ep, bytes, data, dest, tag);
      }),
    ),
    fi_trecvmsg: call(receive.extend(match), (state, { endpoint, buffer, flags, ...rest }) =>
      post(state, endpoint, (ep) => {
        const into = landingOf(state, buffer);
        if (flags !== undefined) return tagged.fi_trecvmsg(ep, { ...rest, buffer: into }, flags);
        const { source, tag, ignore, context } = rest;
        return tagged.fi_trecv(ep, into, source, tag, ignore, context);
      }),
    ),
  };
}

function memoryCalls(): Readonly<Record<string, FabricCall>> {
  return {
    fi_writemsg: call(rma, (state, { endpoint, local, flags, ...rest }) =>
      post(state, endpoint, (ep) => {
        const from = mrBufferOf(state, local);
        if (flags !== undefined) return rmaCalls.fi_writemsg(ep, { ...rest, local: from }, flags);
        const { data, dest, remoteAddress, key, context } = rest;
        if (data === undefined) {
          return rmaCalls.fi_write(ep, from, dest, remoteAddress, key, context);
        }
        return rmaCalls.fi_writedata(ep, from, data, dest, remoteAddress, key, context);
      }),
    ),
    fi_readmsg: call(rma, (state, { endpoint, local, flags, ...rest }) =>
      post(state, endpoint, (ep) => {
        const into = mrBufferOf(state, local);
        if (flags !== undefined) return rmaCalls.fi_readmsg(ep, { ...rest, local: into }, flags);
        const { dest, remoteAddress, key, context } = rest;
        return rmaCalls.fi_read(ep, into, dest, remoteAddress, key, context);
      }),
    ),
  };
}

function atomicCalls(): Readonly<Record<string, FabricCall>> {
  return {
    fi_atomic: call(atomic, (state, { endpoint, operand, context, ...target }) =>
      post(state, endpoint, (ep) => fi_atomic(ep, operand, target, context)),
    ),
    fi_fetch_atomic: call(fetchAtomic, (state, { endpoint, operand, result, context, ...target }) =>
      post(state, endpoint, (ep) =>
        fi_fetch_atomic(ep, operand, landingOf(state, result), target, context),
      ),
    ),
    fi_compare_atomic: call(
      compareAtomic,
      (state, { endpoint, operand, compare, result, context, ...target }) =>
        post(state, endpoint, (ep) =>
          fi_compare_atomic(ep, operand, compare, landingOf(state, result), target, context),
        ),
    ),
  };
}

/** FI_EAGAIN: whoever waits for progress waits for what comes from here on. */
function post(
  state: FabricProcess,
  number: number,
  start: (endpoint: FiEndpoint) => FiErrno | undefined,
): FiErrno | undefined {
  const endpoint = state.get(number, 'FI_CLASS_EP');
  const signal = state.signal(number);
  const error = start(endpoint);
  if (error === 'FI_EAGAIN') signal.lower();
  return error;
}

function bufferOf(state: FabricProcess, given: Buffer): FiBuffer {
  if (given.kind === 'mr') return mrBufferOf(state, given);
  return { kind: 'host', bytes: state.userBytes(given) };
}

function landingOf(state: FabricProcess, given: Buffer): FiReceiveBuffer {
  return given.kind === 'mr' ? mrBufferOf(state, given) : state.userBytes(given);
}

function mrBufferOf(
  state: FabricProcess,
  { mr, address, length }: Extract<Buffer, { kind: 'mr' }>,
): FiMrBuffer {
  return { kind: 'mr', mr: state.get(mr, 'FI_CLASS_MR'), address, length };
}
