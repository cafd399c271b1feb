/** `hlsim show`: an algorithm's schedule as text, as a picture, or as MSCCL XML. */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { algorithmsFor } from '../../collectives/table.ts';
import { messageOf } from '../../common/errors.ts';
import type { CommandContext } from '../context.ts';
import {
  addFlags,
  type FlagValues,
  optional,
  readFlags,
  usageError,
  withDefault,
} from '../flags.ts';
import { integer, oneOf, text } from '../readers.ts';
import {
  algorithmFlag,
  COLLECTIVES_HELP,
  RANKS_MAX,
  readCollective,
  scheduleFlags,
  scheduleRequest,
} from '../schedule-flags.ts';
import {
  mscclText,
  pictureText,
  rankLines,
  type Shown,
  scheduleToShow,
  showLines,
} from '../show-run.ts';

const PLACEMENTS = { 'in-place': 'inPlace', 'out-of-place': 'outOfPlace' } as const;

const showFlags = {
  algorithm: optional({
    ...algorithmFlag,
    description: 'which one; hlsim cost lists those of a collective',
  }),
  ...scheduleFlags,
  placement: optional({
    name: 'placement',
    value: '<where>',
    description: 'in-place or out-of-place; in-place unless given, but for alltoall and sendrecv',
    reader: oneOf(['in-place', 'out-of-place']),
    environment: 'HLSIM_SHOW_PLACEMENT',
  }),
  rank: optional({
    name: 'rank',
    value: '<rank>',
    description: "this rank's program alone",
    reader: integer(0, RANKS_MAX - 1),
    environment: 'HLSIM_SHOW_RANK',
  }),
  format: withDefault('text', {
    name: 'format',
    value: '<format>',
    description: 'text, or msccl: the programs as MSCCL XML',
    reader: oneOf(['text', 'msccl']),
    environment: 'HLSIM_SHOW_FORMAT',
  }),
  svg: optional({
    name: 'svg',
    value: '<file>',
    description: 'also write a picture to this file',
    reader: text('a file name'),
  }),
} as const;

type ShowFlagValues = FlagValues<typeof showFlags>;

export function showCommand(context: CommandContext): Command {
  const command = new Command('show')
    .description('Show an algorithm: who holds what after each round, and what each rank does')
    .argument('<collective>', COLLECTIVES_HELP);
  addFlags(command, showFlags).addHelpText(
    'after',
    `
Examples:
  hlsim show all_reduce --algorithm ring --ranks 4
  hlsim show broadcast --algorithm binomialTree --ranks 8 --root 3 --svg tree.svg
  hlsim show all_reduce --algorithm recursiveDoubling --ranks 6 --rank 5
  hlsim show all_gather --algorithm ring --ranks 8 --channels 2 --format msccl`,
  );
  return command.action((word: string) => {
    show(word, readFlags(command, showFlags), context);
  });
}

function show(word: string, flags: ShowFlagValues, { terminal }: CommandContext): void {
  const { algorithm, placement, rank, format, svg } = flags;
  const collective = readCollective(word);
  if (format === 'msccl' && rank !== undefined) {
    throw usageError(
      'Expected either --rank or --format msccl, which has all ranks, but found both',
    );
  }
  if (algorithm === undefined) {
    const names = algorithmsFor(collective).join(', ');
    throw usageError(`Expected --algorithm <name> (one of ${names}) but found none: add it`);
  }
  const request = { ...scheduleRequest(collective, flags), algorithm };
  const shown = scheduleToShow(request, placement && PLACEMENTS[placement]);
  if (svg !== undefined) writePicture(svg, shown);
  const lines =
    format === 'msccl'
      ? [mscclText(shown)]
      : rank === undefined
        ? showLines(shown)
        : rankLines(shown, rank);
  terminal.result(lines.join('\n').trimEnd());
  if (svg !== undefined) terminal.note(`Picture written to ${svg}`);
}

function writePicture(path: string, shown: Shown): void {
  const picture = pictureText(shown);
  try {
    writeFileSync(path, picture);
  } catch (cause) {
    throw usageError(
      `Expected --svg to name a file that can be written but found ${JSON.stringify(path)}: ${messageOf(cause)}`,
    );
  }
}
