/** Peers that do not keep to the protocol above verbs. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fi_close } from '../../../node/fabric/close.ts';
import { FI_ADDR_UNSPEC } from '../../../node/fabric/fabric.ts';
import {
  MESSAGE_HEADER_BYTES,
  type MessageHeader,
  RTS_BODY_BYTES,
  SEGMENT_BYTES,
  writeRemoteMessage,
} from '../../../node/fabric/message-header.ts';
import { AWAITED_MAX } from '../../../node/fabric/outgoing-messages.ts';
import { RECV_DEPTH } from '../../../node/fabric/queue-pair.ts';
import { fi_trecv, fi_trecvmsg } from '../../../node/fabric/tagged.ts';
import { attack, expectAborted, post, send } from './hostile-world.ts';
import { FabricWorld } from './world.ts';

/** On a network in memory. */
const attacked = () => attack(new FabricWorld(2));

describe('a peer that breaks the protocol is given up: FI_ECONNABORTED', () => {
  const cases: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ['bytes that are no header', [new Uint8Array(MESSAGE_HEADER_BYTES).fill(255)]],
    ['less than a header', [new Uint8Array(3)]],
    ['a message of another length than it says', [send({ length: 10 }, 9)]],
    ['a segment of no message', [send({ kind: 'SEGMENT', length: 8 }, 8)]],
    [
      'a segment of another message',
      [
        send({ length: SEGMENT_BYTES + 4 }, SEGMENT_BYTES),
        send({ kind: 'SEGMENT', sequence: 2, length: SEGMENT_BYTES + 4 }, 4),
      ],
    ],
    [
      'a segment beyond the end of its message',
      [
        send({ length: SEGMENT_BYTES + 4 }, SEGMENT_BYTES),
        send({ kind: 'SEGMENT', length: SEGMENT_BYTES + 4 }, 5),
      ],
    ],
    ['an announcement without a place', [send({ kind: 'RTS', length: 100_000 }, 3)]],
    [
      'a place that verbs do not have',
      [send({ kind: 'RTS', length: 100_000 }, RTS_BODY_BYTES).fill(255, MESSAGE_HEADER_BYTES)],
    ],
  ];

  it.each(cases)('%s', async (_, sends) => {
    const { world, victim, sender } = await attacked();
    fi_trecv(victim.endpoint, new Uint8Array(4), 0, 9n, 0n, 'waits');
    for (const bytes of sends) post(sender, bytes);
    await world.until(() => victim.errors.length === 1);
    expect(victim.errors).toMatchObject([{ context: 'waits', err: 'FI_ECONNABORTED' }]);
    expect(victim.completions).toEqual([]);
    expectAborted(victim);
  });

  it('more messages to acknowledge than one peer may have', async () => {
    const { world, victim, sender } = await attacked();
    // They take no acknowledgement: it has no credit left for them.
    for (let index = 0; index < RECV_DEPTH + AWAITED_MAX + 10; index++) {
      post(sender, send({ wantsAck: true, sequence: index + 1 }));
      fi_trecvmsg(victim.endpoint, { buffer: new Uint8Array(4), tag: 1n, context: index }, []);
      await world.wait(1);
    }
    expectAborted(victim);
  });
});

describe('a peer that lies', () => {
  it('acknowledgements of messages that nobody sent are ignored', async () => {
    const { world, victim, sender } = await attacked();
    post(sender, send({ kind: 'ACK', data: 7, tagged: false }));
    await world.wait(5);
    expect(victim.endpoint.connection(0)?.error).toBeUndefined();
    expect([...victim.completions, ...victim.errors]).toEqual([]);
  });

  it('a message that lies nowhere fails its receive alone', async () => {
    const { world, victim, sender } = await attacked();
    const bytes = send({ kind: 'RTS', length: 100_000 }, RTS_BODY_BYTES);
    writeRemoteMessage({ address: 5, key: 77 }, bytes.subarray(MESSAGE_HEADER_BYTES));
    post(sender, bytes);
    fi_trecv(victim.endpoint, new Uint8Array(100_000), 0, 1n, 0n, 'r');
    await world.until(() => victim.errors.length === 1);
    expect(victim.errors).toMatchObject([{ context: 'r', prov_errno: 'IBV_WC_REM_ACCESS_ERR' }]);
  });

  it('a message sent again is not delivered again', async () => {
    const { world, victim, sender } = await attacked();
    for (const sequence of [5, 5, 4, 6]) post(sender, send({ sequence, length: 1 }, 1));
    for (const context of [1, 2, 3]) {
      fi_trecv(victim.endpoint, new Uint8Array(4), 0, 1n, 0n, context);
    }
    await world.wait(5);
    expect(victim.completions.map(({ context }) => context)).toEqual([1, 2]);
  });

  it('whatever comes, nothing is written but into receives, and everything closes', async () => {
    const header = fc.record({
      kind: fc.constantFrom('EAGER', 'SEGMENT', 'RTS', 'ACK'),
      outcome: fc.constantFrom('DONE', 'UNREADABLE', 'FAILED'),
      tagged: fc.boolean(),
      wantsAck: fc.boolean(),
      tag: fc.constantFrom(0n, 1n, 2n ** 64n - 1n),
      data: fc.option(fc.nat(0xffff_ffff), { nil: undefined }),
      length: fc.constantFrom(0, 1, 100, 900, 5000, 16_384, 16_385, 0xffff_ffff),
      sequence: fc.constantFrom(0, 1, 2, 3, 0x8000_0000, 0xffff_ffff),
    } as const);
    const noise = fc.uint8Array({ minLength: 1, maxLength: 64 });
    const shaped = fc.tuple(header, fc.constantFrom(0, 1, 16, 100, 900));
    const one = fc.oneof(
      noise,
      shaped.map(([fields, body]) => send(fields as Partial<MessageHeader>, body)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 12 }), async (sends) => {
        const { world, victim, sender } = await attacked();
        const buffers = [1, 2, 3].map(() => new Uint8Array(256));
        for (const buffer of buffers) {
          fi_trecv(victim.endpoint, buffer.subarray(64, 128), FI_ADDR_UNSPEC, 1n, 0n, buffer);
        }
        for (const bytes of sends) post(sender, bytes);
        await world.wait(50);
        for (const buffer of buffers) {
          expect([...buffer.subarray(0, 64), ...buffer.subarray(128)]).toEqual(
            Array.from({ length: 192 }, () => 0),
          );
        }
        fi_close(victim.endpoint);
        expect(victim.nic.regionCount + victim.nic.queuePairCount).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
