/** Every scenario, on real clusters, under the policy it is made for; and the attack under each policy. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Command, TestProcesses } from './command.ts';

/** How many there are; `hlsim scenario list` names them. */
const SCENARIOS = 20;
/** Run under each policy, the one it is made for among them. */
const ATTACK = 'exfiltration';
/** Each is mostly waiting: so many run at a time. */
const AT_ONCE = 2;

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

function verdict({ stdout }: Command): string | undefined {
  return /^Verdict: (.*)$/m.exec(stdout)?.[1];
}

async function listed(): Promise<{ id: string; name: string; title: string }[]> {
  const { stdout, code } = await processes.run(['scenario', 'list', '--json']);
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

describe('hlsim scenario', () => {
  it('lists R1 to R20 with a name and a sentence each', async () => {
    const scenarios = await listed();
    const ids = Array.from({ length: SCENARIOS }, (_, index) => `R${index + 1}`);
    expect(scenarios.map(({ id }) => id)).toEqual(ids);
    expect(new Set(scenarios.map(({ name }) => name)).size).toBe(SCENARIOS);
    expect(scenarios.every(({ title }) => title.length > 20)).toBe(true);
  });

  it.each([
    ['owner', /^HELD\. The attack fails at step \d+: B is kept out/],
    [
      'revoke',
      /^HELD\. The attack fails at step \d+: the read of the old region ends with IBV_WC_/,
    ],
    ['owner-2021', /^HELD\. The attack fails at step \d+: the read of the old region ends/],
    ['none', /^BROKEN\. The attack succeeds at step \d+: .*SECRET: the weights of tenant B/],
  ])('exfiltration under %s', async (ownership, expected) => {
    const words = ['scenario', 'run', ATTACK, '--ownership', ownership];
    const ended = await processes.run(words);
    expect(verdict(ended), ended.stderr).toMatch(expected);
    expect(ended.code).toBe(0);
  });

  it('holds in every other scenario, under the policy it is made for', async () => {
    const names = (await listed()).map(({ name }) => name).filter((name) => name !== ATTACK);
    expect(names).toHaveLength(SCENARIOS - 1);
    const folder = mkdtempSync(join(tmpdir(), 'hlsim-scenario-'));
    try {
      const shares = Array.from({ length: AT_ONCE }, (_, share) => ({
        file: join(folder, `${share}.json`),
        names: names.filter((_, index) => index % AT_ONCE === share),
      }));
      await Promise.all(shares.map((share) => runShare(share.names, share.file)));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('refuses a name that it does not know, and a policy that says nothing', async () => {
    const unknown = await processes.run(['scenario', 'run', 'heist']);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('"heist"')]);
    const words = ['scenario', 'run', 'reset-exhausted', '--ownership', 'revoke'];
    const silent = await processes.run(words);
    expect([silent.code, silent.stderr]).toEqual([2, expect.stringContaining('owner-2021')]);
  });
});

async function runShare(names: readonly string[], file: string): Promise<void> {
  const ended = await processes.run(['scenario', 'run', ...names, '--json', file]);
  expect(ended.code, `${ended.stdout}\n${ended.stderr}`).toBe(0);
  const { scenarios } = JSON.parse(readFileSync(file, 'utf8')) as {
    scenarios: { name: string; verdict: { held: boolean } }[];
  };
  const held = scenarios.map(({ name, verdict: { held } }) => [name, held]);
  expect(held).toEqual(names.map((name) => [name, true]));
}
