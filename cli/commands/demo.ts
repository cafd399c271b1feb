/** `hlsim demo`, which `npm start` runs: one temporary cluster, a training, two checked sweeps. */
import { Command } from 'commander';
import type { BenchOptions } from '../../bench/options.ts';
import { MiB } from '../../common/bytes.ts';
import { HlsimError } from '../../common/errors.ts';
import { trainOptions } from '../../training/options.ts';
import { checkSweep, runSweep } from '../bench-run.ts';
import {
  devicesFlag,
  hbmFlag,
  hostsWithDefault,
  joinTimeoutFlag,
  logLevelFlag,
  ownershipFlag,
} from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, readFlags } from '../flags.ts';
import { TemporaryCluster } from '../temporary-cluster.ts';
import { checkTraining, runTraining } from '../train-run.ts';

/** Held-out accuracy that the training must reach. */
const ACCURACY_MIN = 0.95;

const demoFlags = {
  hosts: hostsWithDefault,
  devices: devicesFlag,
  hbm: hbmFlag,
  ownership: ownershipFlag,
  joinTimeout: joinTimeoutFlag,
  logLevel: logLevelFlag,
} as const;

const SWEEP = {
  minBytes: 8,
  maxBytes: 16 * MiB,
  stepFactor: 8,
  iterations: 5,
  warmupIterations: 1,
  dataTypes: ['float'],
  reduceOps: ['sum'],
  root: 0,
  check: true,
  digest: false,
  countMultiple: 1,
  places: ['outOfPlace', 'inPlace'],
} as const;

export function demoCommand(context: CommandContext): Command {
  const command = new Command('demo').description(
    'Train on the digits and measure all_reduce and all_gather, everything checked',
  );
  addFlags(command, demoFlags).addHelpText(
    'after',
    `
Examples:
  hlsim demo
  hlsim demo --hosts 2 --devices 2
  hlsim demo --ownership revoke`,
  );
  return command.action(async () => {
    await demo(readFlags(command, demoFlags), context);
  });
}

async function demo(flags: FlagValues<typeof demoFlags>, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const job = { hosts: flags.hosts, joinTimeoutMs: flags.joinTimeout };
  const cluster = { ...flags, hbmBytes: flags.hbm, joinTimeoutMs: flags.joinTimeout };
  await TemporaryCluster.use({ ...cluster, token: undefined }, context, async (client) => {
    const summary = await runTraining(client, trainOptions({}), job, context);
    checkTraining(summary);
    if (summary.accuracy < ACCURACY_MIN) {
      throw new HlsimError(
        'HLSIM_JOB_FAILED',
        `Expected a held-out accuracy of at least ${ACCURACY_MIN} but found ${summary.accuracy}`,
      );
    }
    for (const collective of ['all_reduce', 'all_gather'] as const) {
      terminal.result('');
      const options: BenchOptions = { ...SWEEP, collective, places: [...SWEEP.places] };
      checkSweep(await runSweep(client, options, job, context), options);
    }
  });
}
