import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EPOCHS_DEFAULT } from '../../training/options.ts';
import { TestProcesses } from './command.ts';

let processes: TestProcesses;
let directory: string;
beforeEach(() => {
  processes = new TestProcesses();
  directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});
afterEach(async () => {
  rmSync(directory, { recursive: true });
  await processes.expectNone();
});

async function train(
  ...args: string[]
): Promise<{ accuracy: number; loss: number[] } & Record<string, unknown>> {
  const file = join(directory, 'train.json');
  const { code, stderr } = await processes.run(['train', 'digits', '--json', file, ...args]);
  expect(code, stderr).toBe(0);
  return JSON.parse(readFileSync(file, 'utf8'));
}

describe('hlsim train digits', () => {
  it('on four ranks learns what one rank learns from the same global batches', async () => {
    const four = await train('--hosts', '4');
    const one = await train('--hosts', '1');
    expect(four.loss).toHaveLength(EPOCHS_DEFAULT);
    for (const [epoch, loss] of four.loss.entries()) {
      const alone = one.loss[epoch] ?? Number.NaN;
      expect(Math.abs(loss - alone) / alone).toBeLessThan(1e-5);
    }
    expect(four.accuracy).toBeGreaterThanOrEqual(0.95);
    expect(one.accuracy).toBeGreaterThanOrEqual(0.95);
    expect(four['weightsIdentical']).toBe(true);
    expect(four['wireBytes']).toBe(four['wireBytesFormula']);
    expect(four['wireBytes']).toBeGreaterThan(0);
    expect(one['wireBytes']).toBe(0);
  });

  it('gives the same bits for the same seed, and others for another', async () => {
    const args = ['--hosts', '2', '--epochs', '1'];
    const first = await train(...args, '--seed', '5');
    const again = await train(...args, '--seed', '5');
    const other = await train(...args, '--seed', '6');
    expect(again.loss).toEqual(first.loss);
    expect(again['weightsDigest']).toBe(first['weightsDigest']);
    expect(other['weightsDigest']).not.toBe(first['weightsDigest']);
  });

  it('prints a line for each epoch, and what was checked', async () => {
    const args = ['train', 'digits', '--hosts', '2', '--devices', '2', '--epochs', '2'];
    const { code, stdout, stderr } = await processes.run(args);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^epoch 1\/2 .*loss \d/m);
    expect(stdout).toMatch(/^epoch 2\/2 .*loss \d/m);
    expect(stdout).toMatch(/bit-identical on all ranks/);
    expect(stdout).toMatch(/wall clock of this machine/);
  });
});
