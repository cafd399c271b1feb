import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lowerAll } from '../../collectives/lower.ts';
import { mscclDocument } from '../../collectives/msccl/from-programs.ts';
import { writeMscclXml } from '../../collectives/msccl/write.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { record } from './recording-terminal.ts';

const RING = writeMscclXml(
  mscclDocument(
    lowerAll(
      buildSchedule({ collective: 'allReduce', algorithm: 'ring', topology: flatTopology(4) }),
    ),
    { name: 'ring of 4', placements: ['outOfPlace', 'inPlace'] },
  ),
);
/** Everybody sends three messages before taking one. */
const EAGER = `<algo name="eager" nchunksperloop="6" ngpus="2" coll="alltoall" inplace="0">
${[0, 1]
  .map((rank) => {
    const peer = 1 - rank;
    const sends = [0, 1, 2].map(
      (chunk) =>
        `<step s="${chunk}" type="s" srcbuf="i" srcoff="${3 * peer + chunk}" dstbuf="o" dstoff="0" cnt="1"/>`,
    );
    const receives = [0, 1, 2].map(
      (chunk) =>
        `<step s="${3 + chunk}" type="r" srcbuf="i" srcoff="0" dstbuf="o" dstoff="${3 * peer + chunk}" cnt="1"/>`,
    );
    return `<gpu id="${rank}" i_chunks="6" o_chunks="6" s_chunks="0"><copy i_off="${3 * rank}" o_off="${3 * rank}" cnt="3"/>
<tb id="0" send="${peer}" recv="${peer}" chan="0">${[...sends, ...receives].join('\n')}</tb></gpu>`;
  })
  .join('\n')}
</algo>`;

describe('hlsim verify', () => {
  let folder = '';
  const path = (name: string): string => join(folder, name);
  const pipe = (): string => {
    execFileSync('mkfifo', [path('pipe.xml')]);
    return path('pipe.xml');
  };
  const write = (name: string, text: string): string => {
    writeFileSync(path(name), text);
    return path(name);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hlsim-verify-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('says that a file is proved, for what, and how much room it takes', async () => {
    const file = write('ring.xml', RING);
    const { exitCode, results, notes } = await record('verify', file);
    expect(notes).toBe('');
    expect(results.split('\n')).toEqual([
      `${file}: proved`,
      expect.stringMatching(/^ {2}ring of 4: allReduce, 4 ranks, \d+ thread blocks, \d+ steps$/),
      '  out of place: proved for any element count',
      '  in place: proved for any element count',
      expect.stringMatching(/^ {2}smallest depth that works: [12] messages? per connection$/),
    ]);
    expect(exitCode).toBe(0);
  });

  it('says in a sentence each what is wrong with a file', async () => {
    const wrong = RING.replace(/(type="s" srcbuf="i" srcoff=)"0"/, '$1"1"');
    expect(wrong).not.toBe(RING);
    const { exitCode, results } = await record('verify', write('wrong.xml', wrong));
    expect(results).toContain('wrong.xml: refuted');
    expect(results).toMatch(/^ {4}Rank \d channel \d tb \d step \d chunk \d \(line \d+\): /m);
    expect(exitCode).toBe(1);
  });

  it('finds the deadlock below the smallest depth, and none from there on', async () => {
    const file = write('eager.xml', EAGER);
    const free = await record('verify', file);
    expect(free.results).toContain('smallest depth that works: 3 messages per connection');
    expect(free.exitCode).toBe(0);
    for (const [depth, exitCode] of [
      ['1', 1],
      ['2', 1],
      ['3', 0],
      ['4', 0],
    ] as const) {
      const verdict = await record('verify', '--depth', depth, file);
      expect(verdict.exitCode).toBe(exitCode);
      expect(verdict.results.includes('deadlock')).toBe(exitCode === 1);
    }
  });

  it('says nothing of a depth where messages do not match', async () => {
    const wrong = RING.replace(/ {6}<step s="\d+" type="r" .*\n/, '');
    expect(wrong).not.toBe(RING);
    const { exitCode, results } = await record('verify', write('wrong.xml', wrong));
    expect(results).toMatch(/nobody takes the message of/);
    expect(results).not.toContain('messages per connection');
    expect(exitCode).toBe(1);
  });

  it('says where a file cannot be read', async () => {
    const file = write('cut.xml', RING.slice(0, 400));
    const { exitCode, results, notes } = await record('verify', file);
    expect(results).toBe(`${file}: unreadable`);
    expect(notes).toMatch(
      /^hlsim: .*cut\.xml: Expected .* on line \d+ .*\[HLSIM_PROGRAM_UNREADABLE\]$/,
    );
    expect(exitCode).toBe(2);
  });

  it('judges all files of a folder, and ends with the worst exit code', async () => {
    mkdirSync(path('more'));
    write('a.xml', RING);
    write('more/b.xml', EAGER);
    write('notes.txt', 'no schedule');
    const good = await record('verify', folder);
    expect(good.results).toContain('2 files: 2 proved, 0 refuted, 0 unreadable');
    expect(good.exitCode).toBe(0);
    write('c.xml', '<algo/>');
    const bad = await record('verify', folder, '--depth', '1');
    expect(bad.results).toContain('3 files: ');
    expect(bad.results).toContain('1 unreadable');
    expect(bad.exitCode).toBe(2);
  });

  it('writes everything to the file of --json', async () => {
    const files = [write('a.xml', RING), write('b.xml', EAGER), write('c.xml', '<algo>')];
    const json = path('verdicts.json');
    await record('verify', '--depth', '2', '--json', json, ...files);
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
      depth: 2,
      files: [
        {
          file: files[0],
          verdict: 'proved',
          name: 'ring of 4',
          collective: 'allReduce',
          ranks: 4,
          counts: 'any',
          placements: [
            { placement: 'outOfPlace', proved: true, findings: [] },
            { placement: 'inPlace', proved: true, findings: [] },
          ],
        },
        {
          verdict: 'refuted',
          smallestDepth: 3,
          placements: [{ findings: [{ kind: 'deadlock', message: expect.any(String) }] }],
        },
        { verdict: 'unreadable', error: { code: 'HLSIM_PROGRAM_UNREADABLE', line: 1 } },
      ],
    });
  });

  it('says of a file without a collective that nothing is promised', async () => {
    const { results, exitCode } = await record(
      'verify',
      write('old.xml', RING.replace(/ coll="\w+"/, '')),
    );
    expect(results).toContain('nothing is promised of the outputs of custom');
    expect(exitCode).toBe(0);
  });

  it('refutes what no steps could do', async () => {
    const text =
      '<algo nchunksperloop="3" coll="allgather"><gpu id="0" i_chunks="1" o_chunks="1" s_chunks="0"/><gpu id="1" i_chunks="1" o_chunks="1" s_chunks="0"/></algo>';
    const { results, exitCode } = await record('verify', write('three.xml', text));
    expect(results).toContain('The 3 chunks of allgather cannot be shared out among 2 ranks');
    expect(exitCode).toBe(1);
  });

  it('refuses a file of 100 MB without reading it', async () => {
    const file = write('large.xml', '<algo>');
    truncateSync(file, 100_000_000);
    const { exitCode, notes } = await record('verify', file);
    expect(notes).toContain('at most 67108864 bytes but found 100000000');
    expect(exitCode).toBe(2);
  });

  it.each([
    ['a file that is not there', () => path('absent.xml'), 'ENOENT'],
    ['a device', () => '/dev/zero', 'a device or socket'],
    ['a pipe that nobody writes to', () => pipe(), 'a pipe'],
    ['an empty file', () => write('empty.xml', ''), 'line 1'],
  ])('calls %s unreadable', async (_, name, word) => {
    const { exitCode, notes } = await record('verify', name());
    expect(notes).toContain(word);
    expect(notes).toContain('[HLSIM_PROGRAM_UNREADABLE]');
    expect(exitCode).toBe(2);
  });

  it.each([
    ['utf16le', '\uFEFF'],
    ['utf8', '\uFEFF'],
  ] as const)('reads %s with a byte order mark', async (encoding, mark) => {
    writeFileSync(path('marked.XML'), mark + RING, encoding);
    const { results } = await record('verify', folder);
    expect(results).toContain('marked.XML: proved');
  });

  it('reads UTF-16 with the larger byte first', async () => {
    writeFileSync(path('ring.xml'), Buffer.from(`\uFEFF${RING}`, 'utf16le').swap16());
    expect((await record('verify', path('ring.xml'))).exitCode).toBe(0);
  });

  it('calls bytes that are not UTF-8 unreadable, with the line', async () => {
    const file = path('latin.xml');
    writeFileSync(file, Buffer.from('<algo\nname="\xe9"/>', 'latin1'));
    const { exitCode, notes } = await record('verify', file);
    expect(notes).toContain('UTF-8 text but found other bytes on line 2');
    expect(exitCode).toBe(2);
  });

  it.each([
    [['verify'], 'Expected schedule files or --all but found neither'],
    [['verify', '--all', 'a.xml'], 'found both --all and 1 file'],
    [['verify', '--depth', '0', 'a.xml'], 'Expected --depth to be a whole number from 1'],
    [['verify', '--depth', 'deep', 'a.xml'], '"deep"'],
    [['verify', '--json', '/proc/x.json', 'a.xml'], '/proc/x.json'],
    [['verify', '--dept', '1', 'a.xml'], '--dept'],
    [['verify', 'test/cli'], 'Expected "test/cli" to hold .xml files but found none'],
  ])('refuses %j', async (argv, words) => {
    const { exitCode, notes, results } = await record(...argv);
    expect(notes).toContain(words);
    expect(notes).toContain('[HLSIM_USAGE]');
    expect(results).toBe('');
    expect(exitCode).toBe(2);
  });
});
