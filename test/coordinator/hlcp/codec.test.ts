import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { HlsimError } from '../../../common/errors.ts';
import {
  type Codec,
  clientEnd,
  coordinatorClientEnd,
  coordinatorHostEnd,
  hostEnd,
} from '../../../coordinator/hlcp/codec.ts';
import {
  ENDPOINT_BYTES_MAX,
  HLCP_MESSAGE_BYTES_MAX,
  HLCP_VERSION,
} from '../../../coordinator/hlcp/messages.ts';
import { CLIENT_MESSAGES, HOST_MESSAGES, TO_CLIENT_MESSAGES, TO_HOST_MESSAGES } from './samples.ts';

const directions: [string, Codec<never, unknown>, Codec<object, unknown>, object[]][] = [
  ['host to coordinator', coordinatorHostEnd as never, hostEnd as never, values(HOST_MESSAGES)],
  ['coordinator to host', hostEnd as never, coordinatorHostEnd as never, values(TO_HOST_MESSAGES)],
  [
    'client to coordinator',
    coordinatorClientEnd as never,
    clientEnd as never,
    values(CLIENT_MESSAGES),
  ],
  [
    'coordinator to client',
    clientEnd as never,
    coordinatorClientEnd as never,
    values(TO_CLIENT_MESSAGES),
  ],
];

function values(table: Readonly<Record<string, object>>): object[] {
  return Object.values(table);
}

const plain = new Packr({ useRecords: false });

/** The error of a decode that must fail. */
function errorOf(bytes: Uint8Array): HlsimError {
  const decoded = coordinatorHostEnd.decode(bytes);
  if (decoded.ok) throw new Error('Expected a refusal but the bytes were accepted');
  return decoded.error;
}

describe.each(directions)('codec, %s', (_name, reader, writer, messages) => {
  it.each(messages.map((message) => [(message as { type: string }).type, message]))(
    '%s arrives as it was sent',
    (_type, message) => {
      const decoded = reader.decode(writer.encode(message as object));
      expect(decoded).toEqual({ ok: true, message });
    },
  );

  it('never throws on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const decoded = reader.decode(bytes);
        if (!decoded.ok) expect(decoded.error).toBeInstanceOf(HlsimError);
      }),
      { numRuns: 500 },
    );
  });

  it('never throws on a valid message with some bytes changed, cut off or added', () => {
    const mutation = fc.record({
      message: fc.constantFrom(...messages),
      changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      cut: fc.nat(20),
      tail: fc.uint8Array({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(mutation, ({ message, changes, cut, tail }) => {
        const whole = Uint8Array.from(writer.encode(message));
        for (const [at, value] of changes) whole[at % whole.length] = value;
        const kept = whole.subarray(0, Math.max(0, whole.length - cut));
        const decoded = reader.decode(Uint8Array.from([...kept, ...tail]));
        if (decoded.ok) expect(decoded.message).toHaveProperty('type');
        else expect(decoded.error.code).toMatch(/^HLSIM_PROTOCOL_(ERROR|VERSION)$/);
      }),
      { numRuns: 500 },
    );
  });

  it('never accepts a truncated message', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...messages),
        fc.integer({ min: 1, max: 200 }),
        (message, cut) => {
          const whole = writer.encode(message);
          expect(reader.decode(whole.subarray(0, Math.max(0, whole.length - cut))).ok).toBe(false);
        },
      ),
    );
  });
});

describe('codec', () => {
  it('refuses a message of the other direction', () => {
    const bytes = coordinatorHostEnd.encode(TO_HOST_MESSAGES.HLCP_SHUTDOWN);
    expect(errorOf(bytes)).toMatchObject({ code: 'HLSIM_PROTOCOL_ERROR' });
  });

  it('says which field is wrong', () => {
    const bytes = plain.pack({ type: 'HLCP_SYNC', jobId: 'j', sequence: -1, rank: 0 });
    expect(errorOf(bytes).message).toContain('sequence');
  });

  it('ignores fields that it does not know', () => {
    const bytes = plain.pack({ type: 'HLCP_HEARTBEAT', sequence: 1, mood: 'fine' });
    expect(coordinatorHostEnd.decode(bytes)).toEqual({
      ok: true,
      message: { type: 'HLCP_HEARTBEAT', sequence: 1 },
    });
  });

  it('names both versions when a first message of another version does not fit the schema', () => {
    const error = errorOf(plain.pack({ type: 'HLCP_RANK_DATA', version: 9, name: 'future' }));
    expect(error.code).toBe('HLSIM_PROTOCOL_VERSION');
    expect(error.message).toContain(`version ${HLCP_VERSION} but found 9`);
  });

  it('leaves out an optional field that is undefined', () => {
    const message = { ...HOST_MESSAGES.HLCP_RANK_EXIT, failure: undefined };
    const decoded = coordinatorHostEnd.decode(hostEnd.encode(message));
    expect(decoded.ok && 'failure' in decoded.message).toBe(false);
  });

  it('copies byte fields, so that they outlive the received message', () => {
    const bytes = Uint8Array.from(hostEnd.encode(HOST_MESSAGES.HLCP_COMM_DATA));
    const decoded = coordinatorHostEnd.decode(bytes);
    bytes.fill(0);
    if (!decoded.ok || decoded.message.type !== 'HLCP_COMM_DATA') throw new Error('Expected data');
    const { endpoint } = decoded.message.member;
    expect(endpoint).toEqual(Uint8Array.of(1, 2, 255));
    expect(endpoint.constructor).toBe(Uint8Array);
    expect(endpoint.buffer.byteLength).toBe(3);
  });

  it('refuses an endpoint name that is too long', () => {
    const { member } = HOST_MESSAGES.HLCP_COMM_DATA;
    const long = { ...member, endpoint: new Uint8Array(ENDPOINT_BYTES_MAX + 1) };
    const bytes = hostEnd.encode({ ...HOST_MESSAGES.HLCP_COMM_DATA, member: long });
    expect(errorOf(bytes).message).toContain('endpoint');
  });

  it('refuses to encode and to decode more than the longest message', () => {
    const json = 'x'.repeat(HLCP_MESSAGE_BYTES_MAX);
    const message = { ...HOST_MESSAGES.HLCP_JOB_REPORT, json };
    expect(() => hostEnd.encode(message)).toThrowError(/at most 4194304 bytes/);
    expect(errorOf(plain.pack(message)).message).toContain('more than 4194304');
  });

  it('refuses announced sizes before anything is allocated for them', () => {
    // Eight arrays inside one another, each of 2^25 elements: 2 GiB of pointers in 40 bytes.
    const bomb = new Uint8Array(40);
    for (let at = 0; at < 40; at += 5) bomb.set([0xdd, 0x02, 0, 0, 0], at);
    const before = process.memoryUsage().heapUsed;
    expect(errorOf(bomb).message).toContain('truncated');
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(16 * 1024 * 1024);
  });

  it('refuses more values, and deeper nesting, than any message has', () => {
    const many = new Uint8Array(5 + 300_000).fill(0xc0);
    many.set([0xdd, 0x00, 0x04, 0x93, 0xe0]);
    expect(errorOf(many).message).toContain('more than 262144 values');
    expect(errorOf(new Uint8Array(100).fill(0x91)).message).toContain('nested deeper than 16');
  });

  it('refuses extension types, which would build dates, errors and record classes', () => {
    const date = plain.pack({ type: 'HLCP_HEARTBEAT', sequence: new Date(0) });
    expect(errorOf(date).message).toContain('which HLCP does not use');
    const record = new Packr({ useRecords: true }).pack(HOST_MESSAGES.HLCP_HEARTBEAT);
    expect(errorOf(record).message).toContain('which HLCP does not use');
  });
});
