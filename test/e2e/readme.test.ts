/** The first program of README.md, as a reader would run it. `test/docs.test.ts` compares the texts. */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestProcesses } from './command.ts';

const PROGRAM = fileURLToPath(new URL('../../examples/first-program.js', import.meta.url));

let processes: TestProcesses;
beforeEach(() => {
  processes = new TestProcesses();
});
afterEach(() => processes.expectNone());

describe("README.md's first program", () => {
  it.each([
    { hosts: '2', devices: '1' },
    { hosts: '1', devices: '2' },
  ])('adds up the tensors of two ranks: $hosts hosts, $devices devices', async (world) => {
    const flags = ['--hosts', world.hosts, '--devices', world.devices];
    const { code, resultLines, stderr } = await processes.run(['run', PROGRAM, ...flags]);
    expect(code, stderr).toBe(0);
    expect(resultLines.toSorted()).toEqual([
      '[0] 1024 x 1 became 3 on 2 ranks',
      '[1] 1024 x 2 became 3 on 2 ranks',
    ]);
  });
});
