/** `hlsim run`: the user's own program, on every rank. */
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { HlsimError, messageOf } from '../../common/errors.ts';
import { checkClusterFlags, failureOfJob, runJob, withCluster } from '../cluster-session.ts';
import { clusterFlags } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { reportFailure } from '../failure.ts';
import { addFlags, type FlagValues, readFlags } from '../flags.ts';
import { jobEnvironment } from '../job-environment.ts';
import { progressEnvironment, progressFlag } from '../progress.ts';
import { providerEnvironment, providerFlag } from '../provider.ts';
import { rankOutput } from '../rank-output.ts';
import { traced, traceWishOf } from '../trace-file.ts';
import { traceFlags } from '../trace-flags.ts';

const runFlags = {
  provider: providerFlag,
  progress: progressFlag,
  ...traceFlags,
  ...clusterFlags,
} as const;
type RunFlagValues = FlagValues<typeof runFlags>;

export function runCommand(context: CommandContext): Command {
  const command = new Command('run')
    .description('Run a program on every rank of a cluster')
    .argument('<program>', 'JavaScript file, an ES module')
    .argument('[args...]', 'arguments of the program, after --');
  addFlags(command, runFlags).addHelpText(
    'after',
    `
Every rank's program finds RANK, WORLD_SIZE, LOCAL_RANK and the like in its environment, as torchrun
sets them. Its output lines are shown behind [rank]. The first exit code that is not 0 ends the job
and becomes the exit code of hlsim.

HLSIM_ALGORITHM, HLSIM_CHANNELS, HLSIM_SLICE_BYTES and HLSIM_TUNING_FILE say how collectives are carried
out, HCCL_STRICT=1 accepts only what the real HCCL accepts.

Examples:
  hlsim run hello.js --hosts 4
  hlsim run hello.js --hosts 4 --provider ws
  hlsim run train.js --hosts 2 --devices 2 -- --epochs 3
  hlsim run hello.js --hosts 4 --trace trace.json
  hlsim run hello.js --coordinator ws://127.0.0.1:7700`,
  );
  return command.action(async (program: string, args: string[]) => {
    context.exitCode = await runProgram(program, args, readFlags(command, runFlags), context);
  });
}

async function runProgram(
  program: string,
  args: readonly string[],
  flags: RunFlagValues,
  context: CommandContext,
): Promise<number> {
  checkClusterFlags(flags);
  const trace = traceWishOf(flags);
  const path = resolve(program);
  // On a cluster elsewhere the file is the hosts' business, and they say so.
  if (flags.coordinator === undefined) checkReadable(path);
  const environment = {
    ...(await jobEnvironment()),
    ...providerEnvironment(flags),
    ...progressEnvironment(flags),
  };
  const spec = { program: path, arguments: [...args], environment };
  const request = { spec, hosts: flags.hosts, joinTimeoutMs: flags.joinTimeout };
  return withCluster(flags, context, async (client) => {
    const { listener, flush } = rankOutput(context.terminal);
    const outcome = await traced(trace, client, `hlsim run ${program}`, context, () =>
      runJob(client, request, listener, context).finally(flush),
    );
    const failure = failureOfJob(outcome);
    if (failure !== undefined) reportFailure(context.terminal, failure);
    return outcome.exitCode;
  });
}

function checkReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected a program at ${path} but it cannot be read: ${messageOf(cause)}`,
      { cause },
    );
  }
}
