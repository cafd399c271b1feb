/** `hlsim train digits`: data-parallel training on the handwritten digits. */
import { Argument, Command } from 'commander';
import { EPOCHS_DEFAULT, SEED_DEFAULT, trainOptions } from '../../training/options.ts';
import { trainJson } from '../../training/render.ts';
import { withCluster } from '../cluster-session.ts';
import { clusterFlags, jsonFileFlag } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, readFlags, usageError, withDefault } from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { integer } from '../readers.ts';
import { checkTraining, runTraining } from '../train-run.ts';

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
  hlsim train digits --hosts 2 --devices 2 --epochs 5 --seed 7 --json train.json`,
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
  const options = trainOptions({ epochs: flags.epochs, seed: flags.seed });
  const job = { hosts: flags.hosts, joinTimeoutMs: flags.joinTimeout };
  await withCluster(flags, context, async (client) => {
    const summary = await runTraining(client, options, job, context);
    file?.write(trainJson(summary));
    checkTraining(summary);
  });
  return 0;
}
