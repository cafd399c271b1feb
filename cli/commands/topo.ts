/** `hlsim topo`: topologies, built in or in a file, shown, drawn and checked. */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { HlsimError, messageOf } from '../../common/errors.ts';
import { BUILT_IN_TOPOLOGIES, builtInTopology } from '../../timing/topology/built-in.ts';
import { BOXES_MAX, CARDS_MAX } from '../../timing/topology/file.ts';
import { networkOf } from '../../timing/topology/network.ts';
import { drawTopology } from '../../timing/topology/picture.ts';
import { summaryOf } from '../../timing/topology/summary.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, optional, readFlags, withDefault } from '../flags.ts';
import { expectWritable, openJsonFile } from '../json-file.ts';
import { InputFiles } from '../predict-inputs.ts';
import { integer, oneOf, text } from '../readers.ts';
import { renderTable } from '../table.ts';
import { topologyJson, topologyLines, verdictLine } from '../topo-lines.ts';
import { readTopologyOf } from '../topology-input.ts';

const FILE_HELP = `a file, or one of ${BUILT_IN_TOPOLOGIES.join(', ')}`;

const showFlags = {
  boxes: optional({
    name: 'boxes',
    value: '<number>',
    description: 'so many boxes; unless given, those of the file',
    reader: integer(1, BOXES_MAX),
    environment: 'HLSIM_TOPO_BOXES',
  }),
  cards: optional({
    name: 'cards',
    value: '<number>',
    description: 'only the first so many cards',
    reader: integer(1, CARDS_MAX),
    environment: 'HLSIM_TOPO_CARDS',
  }),
  path: withDefault('direct', {
    name: 'path',
    value: '<path>',
    description: 'between boxes: direct, or bounce (through the memory of both hosts)',
    reader: oneOf(['direct', 'bounce']),
    environment: 'HLSIM_TOPO_PATH',
  }),
  svg: optional({
    name: 'svg',
    value: '<file>',
    description: 'also write a picture to this file',
    reader: text('a file name'),
    environment: 'HLSIM_TOPO_SVG',
  }),
  json: optional({
    name: 'json',
    value: '<file>',
    description: 'also write everything to this file, as JSON',
    reader: text('a file name'),
    environment: 'HLSIM_TOPO_JSON',
  }),
} as const;

export function topoCommand(context: CommandContext): Command {
  return new Command('topo')
    .description('Show and check topologies: the boxes that hlsim predict is asked about')
    .addCommand(listCommand(context))
    .addCommand(showCommand(context))
    .addCommand(checkCommand(context))
    .addHelpText(
      'after',
      `
Examples:
  hlsim topo list
  hlsim topo show hls2 --boxes 4 --svg hls2.svg
  hlsim topo check my-cluster.yaml`,
    );
}

function listCommand(context: CommandContext): Command {
  return new Command('list').description('List the built-in topologies').action(() => {
    const rows = BUILT_IN_TOPOLOGIES.map((name) => {
      const { cards, description = '' } = summaryOf(builtInTopology(name));
      return [name, `${cards}`, description];
    });
    context.terminal.result(renderTable(['NAME', 'CARDS', 'WHAT IT IS'], rows));
  });
}

function showCommand(context: CommandContext): Command {
  const command = new Command('show')
    .description('Show a topology: boxes, links, and every number with where it is from')
    .argument('<topology>', FILE_HELP);
  addFlags(command, showFlags).addHelpText(
    'after',
    `
Examples:
  hlsim topo show hls3
  hlsim topo show hls2 --boxes 4 --svg hls2.svg
  hlsim topo show my-cluster.yaml --json my-cluster.json`,
  );
  return command.action(async (wanted: string) => {
    await show(wanted, readFlags(command, showFlags), context);
  });
}

async function show(
  wanted: string,
  flags: FlagValues<typeof showFlags>,
  { terminal }: CommandContext,
): Promise<void> {
  const { boxes, cards, path, svg } = flags;
  const picture = svg === undefined ? undefined : expectWritable('svg', svg);
  const json = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const file = await readTopologyOf(wanted, new InputFiles('.'));
  const summary = summaryOf(file, { boxes, cards });
  const network = networkOf(file, { boxes, cards, path });
  terminal.result(topologyLines(summary, network).join('\n'));
  json?.write(topologyJson(summary, network));
  if (picture === undefined) return;
  writePicture(picture, drawTopology(file, { boxes, cards }));
  terminal.note(`Picture written to ${svg}`);
}

function writePicture(path: string, picture: string): void {
  try {
    writeFileSync(path, picture);
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected to write the picture to ${JSON.stringify(path)} but found: ${messageOf(cause)}; name another file`,
      { cause },
    );
  }
}

function checkCommand(context: CommandContext): Command {
  const command = new Command('check')
    .description(
      'Check that a topology can be read, and that every card has a route to every other',
    )
    .argument('<topology>', FILE_HELP)
    .addHelpText(
      'after',
      `
The exit code is 0 if it can be used, and 1 if not: then the message says why, with the line.

Examples:
  hlsim topo check my-cluster.yaml`,
    );
  return command.action(async (wanted: string) => {
    const file = await readTopologyOf(wanted, new InputFiles('.'));
    context.terminal.result(verdictLine(summaryOf(file), networkOf(file)));
  });
}
