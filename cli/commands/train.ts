/** `hlsim train digits`: data-parallel training on the handwritten digits. */
import { Argument, Command } from 'commander';
import { KiB } from '../../common/bytes.ts';
import { OVERLAPS } from '../../training/gradient-step.ts';
import { HIDDEN_DEFAULT } from '../../training/model.ts';
import {
  BUCKET_BYTES_DEFAULT,
  EPOCHS_DEFAULT,
  HIDDEN_LAYERS_MAX,
  HIDDEN_UNITS_MAX,
  SEED_DEFAULT,
  trainOptions,
} from '../../training/options.ts';
import { trainJson } from '../../training/render.ts';
import { textFile } from '../calibrate-files.ts';
import { withCluster } from '../cluster-session.ts';
import { clusterFlags, jsonFileFlag } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import {
  addFlags,
  type FlagValues,
  optional,
  readFlags,
  usageError,
  withDefault,
} from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { progressFlag } from '../progress.ts';
import { providerFlag } from '../provider.ts';
import { integer, oneOf, type Reader, size, text } from '../readers.ts';
import { checkTraining, runTraining, trainEnvironment } from '../train-run.ts';
import { stepModelText } from '../train-step-model.ts';

/** `256,128`: the units of each hidden layer. */
const hiddenLayers: Reader<readonly number[]> = {
  expected: `1 to ${HIDDEN_LAYERS_MAX} whole numbers from 1 to ${HIDDEN_UNITS_MAX} with commas between them`,
  read(given) {
    const units = integer(1, HIDDEN_UNITS_MAX);
    const read = given.split(',').map((word) => units.read(word));
    const layers = read.filter((value) => value !== undefined);
    return layers.length === read.length && layers.length <= HIDDEN_LAYERS_MAX ? layers : undefined;
  },
};

const trainFlags = {
  epochs: withDefault(String(EPOCHS_DEFAULT), {
    name: 'epochs',
    value: '<n>',
    description: 'passes over the training set',
    reader: integer(1, 10_000),
  }),
  seed: withDefault(String(SEED_DEFAULT), {
    name: 'seed',
    value: '<n>',
    description: 'of the shuffle and of the first weights',
    reader: integer(0, 2 ** 32 - 1),
  }),
  hidden: withDefault(HIDDEN_DEFAULT.join(','), {
    name: 'hidden',
    value: '<n,...>',
    description: 'units of each hidden layer',
    reader: hiddenLayers,
  }),
  bucketBytes: withDefault(`${BUCKET_BYTES_DEFAULT / KiB}K`, {
    name: 'bucket-bytes',
    value: '<size>',
    description: 'gradients are all-reduced in buckets of at most so many bytes, a layer at least',
    reader: size(1),
  }),
  overlap: withDefault('on', {
    name: 'overlap',
    value: '<on|off>',
    description: 'reduce a bucket while the gradients of the next are computed',
    reader: oneOf(OVERLAPS),
  }),
  stepModel: optional({
    name: 'step-model',
    value: '<file>',
    description: 'time each layer after the training and write a model file for hlsim step',
    reader: text('a file name'),
    environment: 'HLSIM_TRAIN_STEP_MODEL',
  }),
  provider: providerFlag,
  progress: progressFlag,
  json: jsonFileFlag,
  ...clusterFlags,
} as const;

export function trainCommand(context: CommandContext): Command {
  const command = new Command('train')
    .description('Train a classifier data-parallel, gradients all-reduced between the hosts')
    .addArgument(new Argument('<dataset>', 'digits'));
  addFlags(command, trainFlags).addHelpText(
    'after',
    `
Examples:
  hlsim train digits --hosts 4
  hlsim train digits --hosts 2 --devices 2 --epochs 5 --seed 7 --json train.json
  hlsim train digits --hosts 2 --hidden 256,256,256 --bucket-bytes 256K --overlap off
  hlsim train digits --hosts 2 --step-model digits.step.yaml`,
  );
  return command.action(async (dataset: string) => {
    context.exitCode = await train(dataset, readFlags(command, trainFlags), context);
  });
}

async function train(
  dataset: string,
  flags: FlagValues<typeof trainFlags>,
  context: CommandContext,
): Promise<number> {
  if (dataset !== 'digits') {
    throw usageError(`Expected the data set to be digits but found ${JSON.stringify(dataset)}`);
  }
  const file = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const stepModel = textFile('step-model', flags.stepModel);
  const { epochs, seed, hidden, bucketBytes, overlap } = flags;
  const options = trainOptions({
    ...{ epochs, seed, hidden: [...hidden], bucketBytes, overlap },
    ...(stepModel === undefined ? {} : { timeLayers: true }),
  });
  const environment = trainEnvironment(flags);
  const job = { hosts: flags.hosts, joinTimeoutMs: flags.joinTimeout, environment };
  await withCluster(flags, context, async (client) => {
    const summary = await runTraining(client, options, job, context);
    file?.write(trainJson(summary));
    checkTraining(summary);
    stepModel?.(stepModelText(summary));
  });
  return 0;
}
