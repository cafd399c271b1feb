/** `hlsim step`: how long a step of data-parallel training takes on boxes that nobody has to have. */
import { Command } from 'commander';
import { readParameterFile } from '../../timing/calibration/parameter-file.ts';
import { LIMITS } from '../../timing/experiment/experiment.ts';
import { Prover } from '../../timing/experiment/proof.ts';
import type { Network } from '../../timing/network.ts';
import { cardsOfBoxes } from '../../timing/topology/cards-of-boxes.ts';
import type { TopologyFile } from '../../timing/topology/file.ts';
import { type NetworkOptions, networkOf } from '../../timing/topology/network.ts';
import { readTrainingModel } from '../../timing/training-step/model-file.ts';
import { type StepRow, stepSweep } from '../../timing/training-step/step-sweep.ts';
import { textFile } from '../calibrate-files.ts';
import { jsonFileFlag } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, optional, readFlags, required, withDefault } from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { partFlags } from '../part-flags.ts';
import { InputFiles } from '../predict-inputs.ts';
import { oneOf, type Reader, size, text } from '../readers.ts';
import { drawSteps } from '../step-plot.ts';
import { stepHeader, stepJson, stepLine } from '../step-report.ts';
import { readTopologyOf } from '../topology-input.ts';

const SIZES_MAX = 32;

const bucketSizes: Reader<readonly number[]> = {
  expected: `1 to ${SIZES_MAX} sizes with commas between, such as 1M,4M,25M`,
  read(given) {
    const one = size(1, { max: LIMITS.bytes });
    const read = given.split(',').map((word) => one.read(word.trim()));
    const sizes = read.filter((value) => value !== undefined);
    return sizes.length === read.length && sizes.length <= SIZES_MAX ? sizes : undefined;
  },
};

const stepFlags = {
  topology: required({
    name: 'topology',
    value: '<name|file>',
    description: 'the boxes: a built-in topology, or a file (hlsim topo)',
    reader: text('the name of a topology or a file'),
  }),
  ...partFlags,
  bucketBytes: optional({
    name: 'bucket-bytes',
    value: '<sizes>',
    description:
      "gradients are all-reduced in buckets of at most so many bytes; the model's own unless given",
    reader: bucketSizes,
    environment: 'HLSIM_STEP_BUCKET_BYTES',
  }),
  overlap: optional({
    name: 'overlap',
    value: '<on|off>',
    description:
      "reduce a bucket while the gradients of the next are computed; the model's own unless given",
    reader: oneOf(['on', 'off']),
    environment: 'HLSIM_STEP_OVERLAP',
  }),
  algorithm: optional({
    name: 'algorithm',
    value: '<name>',
    description:
      "of the all-reduces; HCCL's own where cards share boxes, else what the tuner chooses, unless given",
    reader: text('the name of an algorithm'),
  }),
  path: withDefault('direct', {
    name: 'path',
    value: '<kind>',
    description: 'direct: card to card; bounce: by way of host memory and host NIC',
    reader: oneOf(['direct', 'bounce']),
  }),
  parameters: optional({
    name: 'parameters',
    value: '<file>',
    description: "numbers in place of the topology's own, as hlsim calibrate writes them",
    reader: text('a file name'),
  }),
  json: jsonFileFlag,
  svg: optional({
    name: 'svg',
    value: '<file>',
    description: 'draw time and efficiency over ranks',
    reader: text('a file name'),
    environment: 'HLSIM_STEP_SVG',
  }),
} as const;

type StepFlagValues = FlagValues<typeof stepFlags>;

export function stepCommand(context: CommandContext): Command {
  const command = new Command('step')
    .description('Predict a step of data-parallel training (virtual time of a model)')
    .argument('<model>', 'YAML file: layers with parameters and computing times');
  addFlags(command, stepFlags).addHelpText(
    'after',
    `
Examples:
  hlsim step examples/models/transformer.yaml --topology hls2 --boxes 1,2,4..256
  hlsim step model.yaml --topology hls3 --boxes 16 --bucket-bytes 1M,4M,25M,100M --svg step.svg
  hlsim step examples/models/digits.yaml --topology hls2 --overlap off

The files in examples/models show all fields.`,
  );
  return command.action(async (model: string) => {
    await run(model, readFlags(command, stepFlags), context);
  });
}

async function run(path: string, flags: StepFlagValues, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const json = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const svg = textFile('svg', flags.svg);
  const inputs = new InputFiles('.');
  const model = readTrainingModel(await inputs.text(path, 'a model file'), path);
  const topology = await readTopologyOf(flags.topology, inputs);
  const networks = await networksOf(topology, flags, inputs);
  const overlap = flags.overlap === undefined ? model.overlap : flags.overlap === 'on';
  const { algorithm, bucketBytes = [model.bucketBytes] } = flags;
  const settings = { model, modelFile: path, topology: flags.topology, overlap, algorithm };
  const progress = (network: Network) => terminal.progress(`Predicting on ${network.name}`);
  const rows: StepRow[] = [];
  const request = { model, networks, bucketBytes, overlap, algorithm, progress };
  for (const some of stepSweep(request, new Prover())) {
    const [first] = some;
    if (rows.length === 0 && first !== undefined) {
      terminal.result(stepHeader(settings, first.network));
    }
    for (const row of some) terminal.result(stepLine(row));
    rows.push(...some);
  }
  json?.write(stepJson(settings, rows));
  svg?.(drawSteps(settings, rows));
}

/** All are made before the first prediction: what cannot be is told at once. */
async function networksOf(
  topology: TopologyFile,
  { boxes, cards, path, parameters }: StepFlagValues,
  inputs: InputFiles,
): Promise<readonly Network[]> {
  const overrides =
    parameters === undefined
      ? {}
      : readParameterFile(await inputs.text(parameters, 'a parameter file'), parameters, topology);
  const options: NetworkOptions = { path, overrides };
  if (boxes === undefined) return [networkOf(topology, { ...options, cards })];
  return boxes.map((count) =>
    networkOf(topology, {
      ...options,
      boxes: count,
      cards: cards === undefined ? undefined : cardsOfBoxes(topology, count, cards),
    }),
  );
}
