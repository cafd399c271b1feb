/** The tables of `docs/wire-protocol.md` above the link, read against what the encoders write. */
import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../collectives/collective.ts';
import { KiB, MiB } from '../common/bytes.ts';
import { ANSWERS_MAX } from '../node/fabric/connection.ts';
import { encodeEndpointName, NAME_BYTES_MAX } from '../node/fabric/endpoint-name.ts';
import {
  EAGER_BYTES,
  MESSAGE_HEADER_BYTES,
  MESSAGE_KINDS,
  RTS_BODY_BYTES,
  SEGMENT_BYTES,
  writeMessageHeader,
  writeRemoteMessage,
} from '../node/fabric/message-header.ts';
import { CONTROL_CREDITS } from '../node/fabric/outbound.ts';
import { AWAITED_MAX } from '../node/fabric/outgoing-messages.ts';
import { QUESTIONS_MAX } from '../node/fabric/peer-windows.ts';
import { RECV_DEPTH, WINDOW_DEPTH } from '../node/fabric/queue-pair.ts';
import {
  readWindowGrant,
  WINDOW_BODY_BYTES,
  WINDOW_WORDS,
  writeWindowGrant,
} from '../node/fabric/window-message.ts';
import {
  CONTROL_BYTES_MAX,
  CONTROL_TAG,
  type ControlMessage,
  type DataPath,
  dataImmediate,
  writeControl,
} from '../node/hccl/control-message.ts';
import { hcclFloat32, hcclSum } from '../node/hccl/hccl.ts';
import {
  KEPT_LANES,
  LANES_MAX,
  SLOT_BYTES_MAX,
  SLOT_BYTES_MIN,
  SLOT_POOL_BYTES_MAX,
  SLOTS_PER_LANE,
} from '../node/hccl/lanes.ts';
import { ALGORITHM_BYTES_MAX } from '../node/hccl/operation-call.ts';
import { digestOf } from '../node/hccl/program/ready-call.ts';
import {
  CALL_BYTES,
  dataHeadBytes,
  writeCall,
  writeDataHead,
} from '../node/hccl/wire/wire-frames.ts';
import { encodeOperands, executeAtomic } from '../node/verbs/atomic.ts';
import {
  CM_DEADLINE_MS,
  CM_KEPT_HELLOS_MAX,
  CM_RESEND_MS,
  CM_RESEND_MS_MAX,
} from '../node/verbs/cm.ts';
import { encodeHello, HELLO_BYTES } from '../node/verbs/cm-message.ts';
import { NIC_LIMITS } from '../node/verbs/limits.ts';
import { MACHINE_PAGE_BYTES } from '../node/verbs/machine-memory.ts';
import { QUIESCE_MS } from '../node/verbs/nic.ts';
import { readByTable, section, text } from './wire-document.ts';

const HEADER: ControlMessage = {
  kind: 'HEADER',
  sequence: 0x0102_0304,
  call: {
    collective: 'broadcast',
    count: 2 ** 40 + 1,
    countsDigest: 2 ** 52 + 7,
    dataType: hcclFloat32,
    reduceOp: hcclSum,
    root: 5,
    algorithm: 'binomialTree',
    channels: 0x0102,
    chunks: 0x0304_0506,
    sliceBytes: 0x0708_090a,
  },
  sends: 2 ** 41 + 1,
  expects: 2 ** 42 + 1,
  regions: {
    input: { address: 2 ** 43 + 1, key: 0x1234_5678n, length: 2 ** 31 + 1 },
    output: { address: 2 ** 44 + 3, key: 0x1234_5678_9abcn, length: 2 ** 33 + 4 },
    scratch: { address: 2 ** 45 + 5, key: 0x1234_5679n, length: 2 ** 32 + 1 },
    slots: { address: 2 ** 46 + 7, key: 0x1234_567an, length: 2 ** 32 + 2 },
  },
  granted: [17, 0x0a0b_0c0d],
  released: [18, 0x0a0b_0c0e],
  inline: { counts: [3, 0x0102, 5], bytes: new Uint8Array([1, 2, 3, 4, 5, 6, 7]) },
};

const u16 = (value: number) => [value & 0xff, value >>> 8];
const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)];

/** `allReduce` as the document writes it: `all-reduce`. */
function textOf(collective: string): string {
  return collective.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function encodeControl(message: ControlMessage): Uint8Array {
  const bytes = new Uint8Array(CONTROL_BYTES_MAX);
  return bytes.slice(0, writeControl(message, new DataView(bytes.buffer)));
}

describe('docs/wire-protocol.md, payload of atomics', () => {
  const wr = { wr_id: 0, sg_list: [], compare_add: 2n ** 63n + 1n, swap: 7n };
  const faa = encodeOperands({ ...wr, opcode: 'IBV_WR_ATOMIC_FETCH_AND_ADD' });
  const cas = encodeOperands({ ...wr, opcode: 'IBV_WR_ATOMIC_CMP_AND_SWP' });

  it('operands', () => {
    expect(readByTable('Payload of ATOMIC_CAS', cas)).toEqual({
      compare: 2n ** 63n + 1n,
      swap: 7n,
    });
    expect(readByTable('Payload of ATOMIC_FAA', faa)).toEqual({ add: 2n ** 63n + 1n });
  });

  it('answer', () => {
    const memory = new Uint8Array(8).fill(1);
    const original = executeAtomic('ATOMIC_FAA', faa, [memory.subarray(0, 3), memory.subarray(3)]);
    const heading = 'Payload of ATOMIC_RESPONSE';
    expect(readByTable(heading, original)).toEqual({ original: 0x0101_0101_0101_0101n });
    expect(new DataView(memory.buffer).getBigUint64(0, true)).toBe(0x8101_0101_0101_0102n);
  });
});

describe('docs/wire-protocol.md, above the wires', () => {
  it('CALL', () => {
    const bytes = new Uint8Array(CALL_BYTES);
    writeCall(bytes, 0, 'hcclBarrier (…)');
    const call = 'hcclBarrier (…)'.padEnd(508 - 2);
    const expected = { opcode: 129, lengthForm: 126, length: 508, text: call };
    expect(readByTable('CALL', bytes)).toEqual(expected);
  });

  it('DATA', () => {
    const numbers = { sequence: 0xfedc_ba98, digest: 0x8765_4321, index: 70_000, bytes: 0x1234 };
    const bytes = new Uint8Array(20 + 0x1234).fill(7);
    expect(writeDataHead(new DataView(bytes.buffer), 0, numbers)).toBe(20);
    expect(readByTable('DATA', bytes)).toEqual({
      ...{ opcode: 130, lengthForm: 126, length: 16 + 0x1234, ...numbers },
      payload: Array(0x1234).fill(7),
    });
  });

  it('the heads of DATA', () => {
    const words = section('DATA');
    const limits = [...words.matchAll(/less than (\d+) the head is (\d+)|(\d+) it is (\d+)/g)];
    const rows = limits.map(([, a, b, c, d]) => [Number(a ?? c), Number(b ?? d)] as const);
    expect(rows).toHaveLength(2);
    const longest = Number(/with more it is (\d+) bytes/.exec(words)?.[1]);
    for (const [index, [limit, head]] of rows.entries()) {
      expect(dataHeadBytes(limit - 1)).toBe(head);
      expect(dataHeadBytes(limit)).toBe(rows[index + 1]?.[1] ?? longest);
    }
  });

  it('the digest of a text', () => {
    // The test vectors of its authors.
    expect(digestOf('')).toBe(0x811c_9dc5);
    expect(digestOf('a')).toBe(0xe40c_292c);
    expect(digestOf('foobar')).toBe(0xbf9c_f968);
  });
});

describe('docs/wire-protocol.md, above the link', () => {
  it('HELLO of a queue pair', () => {
    const hello = { seen: false, answerWanted: true, qpn: 7, psn: 0xfedc_ba98, credits: 64 };
    const bytes = encodeHello(hello);
    expect(bytes.byteLength).toBe(HELLO_BYTES);
    const shared = { version: 1, reserved: 0, qpn: 7, psn: 0xfedc_ba98, credits: 64 };
    const heading = 'HELLO of a queue pair';
    expect(readByTable(heading, bytes)).toEqual({ ...shared, flags: 0b10 });
    const seen = encodeHello({ ...hello, seen: true, answerWanted: false });
    expect(readByTable(heading, seen)).toEqual({ ...shared, flags: 0b01 });
    expect(section(heading)).toMatch(/bit 0 `seen`.*bit 1 `answerWanted`/);
  });

  it('endpoint name', () => {
    const address = { host: 'höst', port: 40_001 };
    const bytes = encodeEndpointName({ nodeId: 'node-7', address, serviceId: 9 });
    expect(readByTable('Endpoint name', bytes)).toEqual({
      version: 1,
      hostBytes: 5,
      port: 40_001,
      serviceId: 9,
      host: 'höst',
      nodeId: 'node-7',
    });
  });

  it('header of a message', () => {
    const bytes = new Uint8Array(MESSAGE_HEADER_BYTES);
    const header = { kind: 'RTS', tagged: true, wantsAck: true, outcome: 'FAILED' } as const;
    const numbers = { length: 40_950, sequence: 0xfedc_ba98, data: 0x8765_4321 };
    writeMessageHeader({ ...header, ...numbers, tag: 0x8000_0000_0000_0001n }, bytes);
    const expected = { tag: 0x8000_0000_0000_0001n, kind: 3, flags: 7, outcome: 2, ...numbers };
    expect(readByTable('Header of a message', bytes)).toEqual(expected);
    const kinds = [...section('Header of a message').matchAll(/^\| (\d) \| `(\w+)` \|/gm)];
    expect(Object.fromEntries(kinds.map(([, code, name]) => [name, Number(code)]))).toEqual(
      MESSAGE_KINDS,
    );
  });

  it('body of an RTS', () => {
    const bytes = new Uint8Array(RTS_BODY_BYTES);
    writeRemoteMessage({ address: 2 ** 52 + 3, key: 0xfedc_ba98 }, bytes);
    const expected = { address: 2n ** 52n + 3n, key: 0xfedc_ba98n };
    expect(readByTable('Body of an RTS', bytes)).toEqual(expected);
  });

  it('body of a WINDOW', () => {
    const numbers = { word: 16_383, value: 2 ** 31 - 1 };
    const places = {
      address: 2 ** 52 + 3,
      length: 2 ** 51 + 5,
      file: 2 ** 50 + 7,
      page: 2 ** 49 + 9,
    };
    const bytes = writeWindowGrant({ ...places, ...numbers });
    expect(bytes.byteLength).toBe(WINDOW_BODY_BYTES);
    const wide = Object.entries(places).map(([name, value]) => [name, BigInt(value)]);
    const expected = { ...Object.fromEntries(wide), ...numbers };
    expect(readByTable('Body of a WINDOW', bytes)).toEqual(expected);
    expect(readWindowGrant(bytes)).toEqual({ ...places, ...numbers });
  });

  it('HEADER', () => {
    expect(readByTable('HEADER', encodeControl(HEADER))).toEqual({
      kind: 2,
      collective: 2,
      dataType: 7,
      reduceOp: 0,
      sequence: 0x0102_0304,
      root: 5,
      count: 2 ** 40 + 1,
      countsDigest: 2 ** 52 + 7,
      sends: 2 ** 41 + 1,
      expects: 2 ** 42 + 1,
      nameBytes: 12,
      channels: 0x0102,
      lanes: 2,
      chunks: 0x0304_0506,
      sliceBytes: 0x0708_090a,
      inputAddress: 2 ** 43 + 1,
      inputKey: 0x1234_5678n,
      inputLength: 2 ** 31 + 1,
      outputAddress: 2 ** 44 + 3,
      outputKey: 0x1234_5678_9abcn,
      outputLength: 2 ** 33 + 4,
      scratchAddress: 2 ** 45 + 5,
      scratchKey: 0x1234_5679n,
      scratchLength: 2 ** 32 + 1,
      slotsAddress: 2 ** 46 + 7,
      slotsKey: 0x1234_567an,
      slotsLength: 2 ** 32 + 2,
      algorithm: 'binomialTree',
      tail: [
        ...[...u32(17), ...u32(18), ...u32(0x0a0b_0c0d), ...u32(0x0a0b_0c0e)],
        ...[...u16(3), ...u16(7), ...u16(3), ...u16(0x0102), ...u16(5)],
        ...[1, 2, 3, 4, 5, 6, 7],
      ],
    });
    const numbers = COLLECTIVES.map((name, number) => `${number} ${textOf(name)}`);
    expect(section('HEADER').replace(/\s+/g, ' ')).toContain(`${numbers.join(', ')}, 255 custom`);
  });

  it('HELLO of a rank, CREDIT and BYE', () => {
    const helloOf = (...paths: DataPath[]) => encodeControl({ kind: 'HELLO', paths });
    const heading = 'HELLO of a rank';
    expect(readByTable(heading, helloOf('p2p'))).toEqual({ kind: 1, paths: 0b01 });
    expect(readByTable(heading, helloOf('wire'))).toEqual({ kind: 1, paths: 0b10 });
    expect(section(heading)).toMatch(/bit 0 `p2p`.*bit 1 `wire`/);
    const numbers = { lane: 1, sequence: 70_000, granted: 80_000, slotsReleased: 90_000 };
    const credit = encodeControl({ kind: 'CREDIT', ...numbers });
    expect(readByTable('CREDIT', credit)).toEqual({ kind: 3, ...numbers });
    const last = { lastSequence: 100_000, progress: 110_000 };
    const bye = encodeControl({ kind: 'BYE', ...last });
    expect(readByTable('BYE', bye)).toEqual({ kind: 4, ...last });
  });

  it('WIRE and WIRES', () => {
    const ticket = Array.from({ length: 16 }, (_, index) => 255 - 13 * index);
    const digits = Buffer.from(ticket).toString('hex');
    const wire = encodeControl({ kind: 'WIRE', ticket: digits });
    expect(readByTable('WIRE', wire)).toEqual({ kind: 9, ticket });
    const wires = encodeControl({ kind: 'WIRES', verdict: 'refused' });
    expect(readByTable('WIRES', wires)).toEqual({ kind: 10, verdict: 1 });
  });

  it('WINDOW, WINDOW_ANSWER, WITHDRAW and PATH', () => {
    const window = encodeControl({ kind: 'WINDOW', use: 'buffer', id: 70_000, bytes: 2 ** 32 });
    expect(readByTable('WINDOW', window)).toEqual({ kind: 5, use: 1, id: 70_000, bytes: 2 ** 32 });
    const answer = encodeControl({ kind: 'WINDOW_ANSWER', id: 70_000, result: 'refused' });
    expect(readByTable('WINDOW_ANSWER', answer)).toEqual({ kind: 6, result: 1, id: 70_000 });
    const withdraw = encodeControl({ kind: 'WITHDRAW', id: 70_000 });
    expect(readByTable('WITHDRAW', withdraw)).toEqual({ kind: 7, id: 70_000 });
    const path = encodeControl({ kind: 'PATH', path: 'p2p' });
    expect(readByTable('PATH', path)).toEqual({ kind: 8, path: 1 });
  });

  it('the kinds of control messages', () => {
    const rows = [...section('Above the link: HCCL').matchAll(/^\| (\d+) \| `(\w+)` \|/gm)];
    const kinds = [
      HEADER,
      { kind: 'HELLO', paths: [] },
      { kind: 'BYE', lastSequence: 0, progress: 0 },
      { kind: 'WINDOW', use: 'mailbox', id: 1, bytes: 0 },
      { kind: 'WINDOW_ANSWER', id: 1, result: 'mapped' },
      { kind: 'WITHDRAW', id: 1 },
      { kind: 'PATH', path: 'ws' },
      { kind: 'WIRE', ticket: '0'.repeat(32) },
      { kind: 'WIRES', verdict: 'open' },
    ] as const;
    const credit = {
      kind: 'CREDIT',
      lane: 0,
      sequence: 1,
      granted: 0,
      slotsReleased: 0,
    } as const;
    const encoded = [...kinds, credit].map((message) => [message.kind, encodeControl(message)[0]]);
    expect(Object.fromEntries(rows.map(([, code, name]) => [name, Number(code)]))).toEqual(
      Object.fromEntries(encoded),
    );
  });

  it('immediate data', () => {
    const rows = [...section('Data').matchAll(/^\| (\d+) to (\d+) \| `(\w+)` \|/gm)];
    const data = dataImmediate(1, 0x1234_5678);
    const fields = rows.map(([, high, low, name]) => [
      name,
      (data >>> Number(low)) & (2 ** (Number(high) - Number(low) + 1) - 1),
    ]);
    expect(Object.fromEntries(fields)).toEqual({ lane: 1, sequence: 0x34_5678 });
  });

  it.each([
    `last ${NIC_LIMITS.max_qp_rd_atom} atomic requests of a queue pair (\`max_qp_rd_atom\``,
    `within ${QUIESCE_MS / 1000} s (\`QUIESCE_MS\`)`,
    `${CM_RESEND_MS} ms\n(\`CM_RESEND_MS\`)`,
    `${CM_RESEND_MS_MAX / 1000} s (\`CM_RESEND_MS_MAX\`)`,
    `${CM_DEADLINE_MS / 1000} s (\`CM_DEADLINE_MS\`)`,
    `${CM_KEPT_HELLOS_MAX} per\nservice (\`CM_KEPT_HELLOS_MAX\`)`,
    `${HELLO_BYTES} bytes (\`HELLO_BYTES\`)`,
    `${NAME_BYTES_MAX} bytes (\`NAME_BYTES_MAX\`)`,
    `${MESSAGE_HEADER_BYTES} bytes (\`MESSAGE_HEADER_BYTES\`)`,
    `${EAGER_BYTES} bytes (\`EAGER_BYTES\`)`,
    `${SEGMENT_BYTES} bytes (\`SEGMENT_BYTES\`)`,
    `${RTS_BODY_BYTES} bytes (\`RTS_BODY_BYTES\`)`,
    `the last ${CONTROL_CREDITS} credits (\`CONTROL_CREDITS\`)`,
    `${WINDOW_BODY_BYTES} bytes (\`WINDOW_BODY_BYTES\`)`,
    `page of ${MACHINE_PAGE_BYTES} bytes (\`MACHINE_PAGE_BYTES\`)`,
    `below ${WINDOW_WORDS} (\`WINDOW_WORDS\`)`,
    `at most ${QUESTIONS_MAX} unanswered ones (\`QUESTIONS_MAX\`)`,
    `${WINDOW_DEPTH} places of their own (\`WINDOW_DEPTH\`)`,
    `${ANSWERS_MAX} answers (\`ANSWERS_MAX\`)`,
    `${AWAITED_MAX} messages (\`AWAITED_MAX\`)`,
    `${RECV_DEPTH} receives (\`RECV_DEPTH\`)`,
    `tag ${CONTROL_TAG} (\`CONTROL_TAG\`)`,
    `${CONTROL_BYTES_MAX} bytes\n(\`CONTROL_BYTES_MAX\`)`,
    `below ${LANES_MAX} (\`LANES_MAX\`)`,
    `lanes below ${KEPT_LANES} (\`KEPT_LANES\`)`,
    `at most ${ALGORITHM_BYTES_MAX} bytes (\`ALGORITHM_BYTES_MAX\`)`,
    `${CALL_BYTES} bytes (\`CALL_BYTES\`)`,
    `${SLOTS_PER_LANE} slots (\`SLOTS_PER_LANE\`)`,
    `${SLOT_POOL_BYTES_MAX / MiB} MiB (\`SLOT_POOL_BYTES_MAX\`)`,
    `at least ${SLOT_BYTES_MIN / KiB} KiB and at most ${SLOT_BYTES_MAX / KiB} KiB`,
  ])('%s', (phrase) => {
    const flat = (words: string) => words.replace(/\s+/g, ' ');
    expect(flat(text)).toContain(flat(phrase));
  });
});
