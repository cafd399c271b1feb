/** The model of the machine that points were measured on: the held-out errors, as docs/time-model.md has them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MACHINE } from '../../timing/topology/machine.ts';
import { record } from './recording-terminal.ts';

const POINTS = 'test/timing/calibration';
const RULE = 'ranks=3,8;algorithm!=ring';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hlsim-calibrate-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Fitted {
  readonly name: string;
  readonly quantity: string;
  readonly value: number;
  readonly determined: boolean;
}

async function calibrated(points: string, topology: string, fit: string) {
  const json = join(folder, 'machine.json');
  const line = ['calibrate', `${POINTS}/${points}`, '--topology', topology, '--fit', fit];
  const { exitCode, results } = await record(...line, '--holdout', RULE, '--json', json);
  expect(exitCode).toBe(0);
  return { results, ...JSON.parse(readFileSync(json, 'utf8')) };
}

function valueText({ quantity, value }: Fitted): string {
  if (quantity === 'time') return `${Math.round(value * 1e6)} us`;
  return quantity === 'rate' ? `${(value / 1e9).toFixed(3)} GB/s` : value.toFixed(2);
}

const percent = (part: number) => `${(100 * part).toFixed(1)} %`;

describe('the model of a machine', () => {
  it.each([
    ['points-machine.csv', 2, 'process.turn,machine.rate'],
    ['points-machine.csv', 1000, 'process.turn,machine.rate'],
    ['points-machine.csv', 2, 'process.turn,machine.rate,machine.cores'],
    ['points-machine.csv', 2, 'process.turn,process.issue,machine.rate'],
    ['points-machine-loaded.csv', 2, 'process.turn,machine.rate'],
    ['points-machine-loaded.csv', 1000, 'process.turn,machine.rate'],
  ])('has the errors that docs/time-model.md has: %s, %i cores, %s', async (points, cores, fit) => {
    const topology = join(folder, 'machine.yaml');
    const changed = MACHINE.replace(
      'machine.cores:\n    value: 2',
      `machine.cores:\n    value: ${cores}`,
    );
    writeFileSync(topology, changed);
    const { parameters, fit: own, accuracy } = await calibrated(points, topology, fit);
    const cells = [
      `\`${points}\``,
      fit.includes('cores') ? 'fitted' : `${cores}`,
      fit
        .split(',')
        .map((name) => `\`${name}\``)
        .join(', '),
      parameters.map(valueText).join(', '),
      Math.exp(own.deviation).toFixed(3),
      [accuracy.median, accuracy.mean, accuracy.max].map(percent).join(', '),
    ];
    expect(readFileSync('docs/time-model.md', 'utf8')).toContain(`| ${cells.join(' | ')} |`);
  });

  it('ends where a parameter hardly matters, as over p2p, and says which', async () => {
    const points = 'points-machine-p2p.csv';
    const found = await calibrated(points, 'machine', 'process.turn,machine.rate');
    const { parameters, results, accuracy } = found;
    // As docs/time-model.md has it: no good.
    expect([valueText(parameters[0]), accuracy.points]).toEqual(['32 us', 16]);
    expect(accuracy.median.toFixed(2)).toBe('0.87');
    expect(parameters.map(({ determined }: Fitted) => determined)).toEqual([true, false]);
    expect(results).toContain('Not determined: machine.rate');
    expect(results).not.toContain('Not determined: process.turn');
  });
});
