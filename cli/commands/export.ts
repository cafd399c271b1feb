/** `hlsim export`: the programs of a collective as input of other people's simulators. */
import { Command } from 'commander';
import { defined } from '../../common/assert.ts';
import { chakraFiles } from '../../timing/export/chakra.ts';
import { goalText } from '../../timing/export/goal.ts';
import type { CommandContext } from '../context.ts';
import { type Exported, exportOf } from '../export-work.ts';
import { addFlags, type FlagValues, optional, readFlags, required, withDefault } from '../flags.ts';
import { rate } from '../model-readers.ts';
import { openPieceFile } from '../piece-file.ts';
import { oneOf, size, text } from '../readers.ts';
import { algorithmFlag, COLLECTIVES_HELP, scheduleFlags } from '../schedule-flags.ts';
import { counted } from '../wording.ts';

const SIZE_MAX = 2 ** 40;

const exportFlags = {
  ...scheduleFlags,
  algorithm: optional({ ...algorithmFlag, description: 'which one' }),
  schedule: optional({
    name: 'schedule',
    value: '<file>',
    description: 'export this MSCCL XML file instead',
    reader: text('a file name'),
  }),
  size: withDefault('1M', {
    name: 'size',
    value: '<size>',
    description: 'size of the call, as nccl-tests counts it',
    reader: size(0, { max: SIZE_MAX }),
  }),
  memoryRate: withDefault('2450GB/s', {
    name: 'memory-rate',
    value: '<rate>',
    description:
      'bytes of its memory that a card reads and writes a second: how long it reduces and copies',
    reader: rate,
  }),
  format: required({
    name: 'format',
    value: '<format>',
    description: 'chakra: a file per rank, <prefix>.<rank>.et; goal: one text, <prefix>.goal',
    reader: oneOf(['chakra', 'goal']),
    environment: 'HLSIM_EXPORT_FORMAT',
  }),
  output: required({
    name: 'output',
    value: '<prefix>',
    description: 'where the files go, and how their names begin',
    reader: text('the beginning of file names'),
    environment: 'HLSIM_EXPORT_OUTPUT',
  }),
} as const;

type ExportFlagValues = FlagValues<typeof exportFlags>;

export function exportCommand(context: CommandContext): Command {
  const command = new Command('export')
    .description("Write a collective's programs as Chakra execution traces or GOAL text")
    .argument('[collective]', COLLECTIVES_HELP);
  addFlags(command, exportFlags).addHelpText(
    'after',
    `
Sends, receives and computations of every rank, and which wait for which. The time of a computation
follows from --memory-rate, 2.45 TB/s (a Gaudi2's) unless given; the network is the simulator's.

Examples:
  hlsim export all_reduce --algorithm ring --ranks 8 --size 1M --format chakra --output ring
  hlsim export all_gather --algorithm bruck --ranks 16 --size 4M --format goal --output bruck
  hlsim export --schedule allreduce.xml --size 1M --format goal --output allreduce`,
  );
  return command.action(async (word: string | undefined) => {
    const flags = readFlags(command, exportFlags);
    write(await exportOf(word, flags), flags, context);
  });
}

function write(
  { request, title, nranks, bytes }: Exported,
  { format, output }: ExportFlagValues,
  { terminal }: CommandContext,
): void {
  const fileOf = (suffix: string) => openPieceFile('output', `${output}${suffix}`);
  if (format === 'goal') {
    fileOf('.goal').write(goalText(request));
    terminal.result(`${title}, ${bytes} bytes: ${output}.goal`);
    return;
  }
  const files = Array.from({ length: nranks }, (_, rank) => fileOf(`.${rank}.et`));
  for (const { rank, bytes: content } of chakraFiles(request, title)) {
    defined(files[rank], `the file of rank ${rank}`).write([content]);
  }
  const last = nranks === 1 ? '' : ` to ${output}.${nranks - 1}.et`;
  const words = `${counted(nranks, 'file')}, ${output}.0.et${last}`;
  terminal.result(`${title}, ${bytes} bytes: ${words}`);
}
