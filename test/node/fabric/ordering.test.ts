import { describe, expect, it } from 'vitest';
import { FI_ADDR_UNSPEC } from '../../../node/fabric/fabric.ts';
import { fi_write } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../../node/fabric/tagged.ts';
import { FabricWorld, host } from './world.ts';

const ROUNDS = 100;

/** Messages of one rank to another are as long as their number says. */
const lengthOf = (round: number) => (round % 7 === 0 ? 20_000 : 8 + round);

describe('order between one endpoint and another', () => {
  const networks = [
    ['quiet', {}],
    ['lossy', { dropRate: 0.05, duplicateRate: 0.05, seed: 3 }],
  ] as const;

  it.each(networks)(
    'SAS: messages meet receives in the order they were sent, on a %s network',
    async (_, init) => {
      const world = new FabricWorld(2, init);
      world.introduce();
      const [a, b] = [world.rank(0), world.rank(1)];
      const buffers = Array.from({ length: ROUNDS }, () => new Uint8Array(20_000));
      for (const [round, buffer] of buffers.entries()) {
        fi_trecv(b.endpoint, buffer, FI_ADDR_UNSPEC, 0n, ~0n, round);
      }
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = new Uint8Array(lengthOf(round)).fill(round + 1);
        await world.post(() => fi_tsend(a.endpoint, host(bytes), 1, BigInt(round), round));
      }
      await world.until(() => b.completions.length === ROUNDS, 600_000);
      // Long ones may complete late, but each has gone into the receive of its turn.
      for (const { context, tag, length } of b.completions) {
        expect([tag, length]).toEqual([BigInt(Number(context)), lengthOf(Number(context))]);
      }
      expect(buffers.map((bytes) => bytes[0])).toEqual(buffers.map((_buffer, round) => round + 1));
    },
  );

  it.each(networks)(
    'SAW: a message that follows a write finds it done, on a %s network',
    async (_, init) => {
      const world = new FabricWorld(2, init);
      world.introduce();
      const [a, b] = [world.rank(0), world.rank(1)];
      const [source, target] = [await a.register(4096), await b.register(4096)];
      const { mr } = source;
      const { address, key } = target.mr;
      const seen: (readonly [unknown, number | undefined])[] = [];
      b.onRead = () => {
        for (const { context } of b.completions.splice(0))
          seen.push([context, target.memory.bytes[0]]);
      };
      for (let round = 0; round < ROUNDS; round++) {
        source.memory.bytes[round] = round + 1;
        const local = { kind: 'mr', mr, address: mr.address + round, length: 1 } as const;
        fi_trecv(b.endpoint, new Uint8Array(8), 0, BigInt(round), 0n, round + 1);
        await world.post(() => fi_write(a.endpoint, local, 1, address, key, 'w'));
        await world.post(() =>
          fi_tsend(a.endpoint, host(new Uint8Array(1)), 1, BigInt(round), 's'),
        );
      }
      await world.until(() => seen.length === ROUNDS, 600_000);
      for (const [round, found] of seen) expect(found).toBeGreaterThanOrEqual(Number(round));
    },
  );
});
