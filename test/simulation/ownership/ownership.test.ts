/** The simulation of ownership: many seeds, and that it would see what it looks for. */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { defined } from '../../../common/assert.ts';
import type { OwnershipPolicy } from '../../../node/device/ownership.ts';
import { recordLockOrder, stopRecordingLockOrder } from '../../../node/dmabuf/lock-order.ts';
import { INVARIANT_COUNT, INVARIANTS, type Invariant } from './invariants.ts';
import { optionsOf, reproduction, STEPS_DEFAULT } from './options.ts';
import { runSeed } from './run.ts';
import { Totals } from './totals.ts';
import { verifySeed } from './verify-seed.ts';

/** Of this many operations each, and every seed twice. */
const SEEDS = 200;
const SEEDS_PER_TEST = 50;
const RECORDED_SEEDS = 3;
/** Under policy `none` some seed of these must find the hole. */
const OPEN_SEEDS = 30;

/** Seeds that once found something, and what it was. */
const FOUND: readonly (readonly [number, OwnershipPolicy, string])[] = [
  [103_342, 'owner', 'a refusal that was kept while its queue pair was flushed'],
  [108_762, 'revoke', 'the same, under another policy'],
  [20_411, 'owner-2021', 'a rank that aborted its communicator and told nobody'],
];

const table: readonly (readonly [string, Invariant])[] = Object.entries(INVARIANTS);

describe('the simulation of ownership', () => {
  const totals = new Totals();

  for (let first = 1; first <= SEEDS; first += SEEDS_PER_TEST) {
    const last = first + SEEDS_PER_TEST - 1;
    it(`seeds ${first} to ${last} keep every invariant, and run the same twice`, async () => {
      for (let seed = first; seed <= last; seed++) totals.add(await verifySeed(optionsOf(seed)));
      expect(totals.complaints).toEqual([]);
    });
  }

  it.each(FOUND)('seed %d, ownership %s: %s', async (seed, ownership) => {
    const { complaint } = await verifySeed(optionsOf(seed, STEPS_DEFAULT, ownership));
    expect(complaint).toBeUndefined();
  });

  it('does every kind of operation', () => {
    expect(totals.seeds).toBe(SEEDS);
    expect(totals.missing).toEqual([]);
  });

  it('looks at every invariant that its table says it does', () => {
    const simulated = table.filter(
      ([, { checkedAt, proof }]) =>
        checkedAt.some((when) => when !== 'seed') && proof === undefined,
    );
    const never = simulated.filter(([id]) => (totals.checks.get(id) ?? 0) === 0);
    expect(never.map(([id]) => id)).toEqual([]);
  });
});

describe('the table of invariants', () => {
  it('has every one of them, in order', () => {
    const ids = Array.from({ length: INVARIANT_COUNT }, (_, index) => `I${index + 1}`);
    expect(table.map(([id]) => id)).toEqual(ids);
  });

  it('says of each where it is checked: by the simulation, or by a test that is there', () => {
    const unproved = table.filter(([, { checkedAt, proof }]) =>
      proof === undefined
        ? checkedAt.length === 0
        : !existsSync(proof.file) || !readFileSync(proof.file, 'utf8').includes(proof.test),
    );
    expect(unproved).toEqual([]);
  });
});

describe('the lock order of simulated runs', () => {
  afterAll(stopRecordingLockOrder);

  it('has no cycle, fence waits included', async () => {
    const recorder = recordLockOrder();
    for (let seed = 1; seed <= RECORDED_SEEDS; seed++) {
      expect((await runSeed(optionsOf(seed))).finding).toBeUndefined();
    }
    stopRecordingLockOrder();
    expect(recorder.edges).not.toEqual([]);
    expect(recorder.findCycle()).toBeUndefined();
  });
});

describe('the shadow model', () => {
  it('sees a former owner read or write under policy none, and says so with a command to repeat it', async () => {
    const findings = [];
    for (let seed = 1; seed <= OPEN_SEEDS; seed++) {
      const { finding, options } = await runSeed(optionsOf(seed, 500, 'none'));
      if (finding !== undefined) findings.push({ finding, options });
    }
    expect(findings.map(({ finding }) => finding.invariant)).toContain('I5');
    const { finding, options } = defined(
      findings.find((one) => one.finding.invariant === 'I5'),
      'a seed that finds the hole',
    );
    expect(finding.message).toMatch(/registered memory of open \d+, which now belongs to open \d+/);
    expect(reproduction(options)).toMatch(
      /^npm run sim -- --seed \d+ --steps 500 --ownership none$/,
    );
    const again = await runSeed(options);
    expect(again.finding).toEqual(finding);
  });
});
