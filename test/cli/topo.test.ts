import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { record } from './recording-terminal.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('hlsim topo', () => {
  it('lists the built-in topologies', async () => {
    const { exitCode, results } = await record('topo', 'list');
    expect(exitCode).toBe(0);
    for (const name of ['hls1', 'dl1', 'hls2', 'hls3', 'flat']) {
      expect(results).toMatch(new RegExp(`^${name} `, 'm'));
    }
  });

  it('shows boxes, links and parameters, as text, picture and JSON', async () => {
    const [svg, json] = [join(directory, 'x.svg'), join(directory, 'x.json')];
    const { exitCode, results } = await record(
      ...['topo', 'show', 'hls2', '--boxes', '2', '--svg', svg, '--json', json],
    );
    expect(exitCode).toBe(0);
    expect(results).toContain('hls2: 16 cards in 2 boxes');
    expect(results).toContain('scaleUp.efficiency');
    expect(readFileSync(svg, 'utf8')).toMatch(/<svg/);
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({ ranks: 16 });
  });

  it('checks the example in one line', async () => {
    const path = new URL('../../examples/topologies/two-level-spine.yaml', import.meta.url);
    const { exitCode, results } = await record('topo', 'check', path.pathname);
    expect(exitCode).toBe(0);
    expect(results).toMatch(/^two-level-spine: 256 cards in 32 boxes/);
  });

  it.each(['a file that is wrong', 'no file'])('refuses %s with exit code 1', async (what) => {
    const path = join(directory, 'x.yaml');
    if (what !== 'no file') writeFileSync(path, 'name: x\n');
    const { exitCode, notes } = await record('topo', 'check', path);
    expect(exitCode).toBe(1);
    expect(notes).toMatch(/^hlsim: Expected .*\[HLSIM_TOPOLOGY_UNREADABLE\]$/);
  });
});
