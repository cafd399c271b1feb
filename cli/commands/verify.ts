/** `hlsim verify`: proves schedule files, or all built-in algorithms, or says why they are wrong. */
import { Command } from 'commander';
import { wallClock } from '../../common/clock.ts';
import { HlsimError, messageOf } from '../../common/errors.ts';
import { delay } from '../../common/scheduler.ts';
import { jsonFileFlag } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, optional, readFlags, toggle, usageError } from '../flags.ts';
import { type JsonFile, openJsonFile } from '../json-file.ts';
import { integer } from '../readers.ts';
import { readScheduleFile, scheduleFiles } from '../schedule-file.ts';
import { judgeSchedule, type ScheduleVerdict, verdictLines } from '../schedule-verdict.ts';
import { ALL_RANKS_MAX, type AlgorithmVerdict, algorithmLines, verifyAll } from '../verify-all.ts';
import { counted } from '../wording.ts';

/** Exit codes, of which the worst of several files counts. */
const REFUTED = 1;
const UNREADABLE = 2;

const verifyFlags = {
  all: toggle({
    name: 'all',
    description: `instead of files: every built-in algorithm for 1 to ${ALL_RANKS_MAX} ranks`,
    environment: 'HLSIM_VERIFY_ALL',
  }),
  depth: optional({
    name: 'depth',
    value: '<k>',
    description: 'messages that a connection holds (any number if not given)',
    reader: integer(1, 1_000_000),
  }),
  json: jsonFileFlag,
} as const;

export function verifyCommand(context: CommandContext): Command {
  const command = new Command('verify')
    .description('Prove that schedules are correct, or say why they are not')
    .argument('[file...]', 'MSCCL XML files, or folders of them');
  addFlags(command, verifyFlags).addHelpText(
    'after',
    `
Proved means: every output holds what the collective promises, with every contribution once; nothing is
read before it is written; no two thread blocks race; every message is taken; nobody waits for ever.
A connection is a (source, destination, channel). The exit code is 0 if everything was proved, 1 if
something was refuted, 2 if a file cannot be read.

Examples:
  hlsim verify allreduce.xml
  hlsim verify --depth 2 --json verdicts.json schedules/
  hlsim verify --all`,
  );
  return command.action(async (paths: readonly string[]) => {
    const { all, depth, json } = readFlags(command, verifyFlags);
    if (all === paths.length > 0) {
      const found = all ? `both --all and ${counted(paths.length, 'file')}` : 'neither';
      throw usageError(`Expected schedule files or --all but found ${found}, see --help`);
    }
    const file = json === undefined ? undefined : openJsonFile(json);
    if (all) await verifyAlgorithms(context, depth, file);
    else await verifyFiles(context, paths, depth, file);
  });
}

type FileVerdict =
  | ({ readonly file: string; readonly verdict: 'proved' | 'refuted' } & ScheduleVerdict)
  | { readonly file: string; readonly verdict: 'unreadable'; readonly error: object };

async function verifyFiles(
  context: CommandContext,
  paths: readonly string[],
  depth: number | undefined,
  json: JsonFile | undefined,
): Promise<void> {
  const { terminal } = context;
  const verdicts: FileVerdict[] = [];
  for (const path of paths) {
    const files = await scheduleFiles(path);
    if (files.length === 0) {
      throw usageError(`Expected ${JSON.stringify(path)} to hold .xml files but found none`);
    }
    for (const file of files) {
      await breathe(context);
      verdicts.push(await verifyFile(context, file, depth));
    }
  }
  if (verdicts.length > 1) terminal.result(summary(verdicts));
  json?.write({ depth: depth ?? null, files: verdicts });
  const worst = verdicts.map(({ verdict }) => EXIT_CODE_OF[verdict]);
  context.exitCode = Math.max(...worst);
}

const EXIT_CODE_OF = { proved: 0, refuted: REFUTED, unreadable: UNREADABLE } as const;

async function verifyFile(
  { terminal }: CommandContext,
  file: string,
  depth: number | undefined,
): Promise<FileVerdict> {
  try {
    const verdict = judgeSchedule(await readScheduleFile(file), depth);
    for (const line of verdictLines(file, verdict)) terminal.result(line);
    return { file, verdict: verdict.proved ? 'proved' : 'refuted', ...verdict };
  } catch (reason) {
    if (!(reason instanceof HlsimError) || reason.code !== 'HLSIM_PROGRAM_UNREADABLE') throw reason;
    const { code, message, fields } = reason;
    terminal.result(`${file}: unreadable`);
    terminal.note(`${terminal.alarm('hlsim:')} ${file}: ${messageOf(reason)} [${code}]`);
    return { file, verdict: 'unreadable', error: { code, message, ...fields } };
  }
}

function summary(verdicts: readonly FileVerdict[]): string {
  const words = (['proved', 'refuted', 'unreadable'] as const).map((word) => {
    return `${verdicts.filter(({ verdict }) => verdict === word).length} ${word}`;
  });
  return `${counted(verdicts.length, 'file')}: ${words.join(', ')}`;
}

/** Lets signals in, and the terminal show what is going on, between two pieces of work. */
async function breathe({ scheduler, interruption }: CommandContext): Promise<void> {
  await delay(scheduler, 0);
  interruption.signal.throwIfAborted();
}

/** Time between two breaths, each of which lasts a millisecond: most proofs take less. */
const BREATH_MS = 50;

async function verifyAlgorithms(
  context: CommandContext,
  depth: number | undefined,
  json: JsonFile | undefined,
): Promise<void> {
  const { terminal } = context;
  const verdicts: AlgorithmVerdict[] = [];
  let breathed = wallClock.now();
  const before = async (what: string): Promise<void> => {
    if (wallClock.now() - breathed < BREATH_MS) return;
    terminal.progress(`Proving ${what}`);
    await breathe(context);
    breathed = wallClock.now();
  };
  for await (const verdict of verifyAll({ ranksMax: ALL_RANKS_MAX, depth, before }))
    verdicts.push(verdict);
  terminal.settle();
  for (const line of algorithmLines(verdicts)) terminal.result(line);
  json?.write({ depth: depth ?? null, algorithms: verdicts });
  if (verdicts.some(({ refuted }) => refuted.length > 0)) context.exitCode = REFUTED;
}
