/** `hlsim trace`: what the ranks of a running cluster do, for a while. */
import { Command } from 'commander';
import { delay } from '../../common/scheduler.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, readFlags, required, withDefault } from '../flags.ts';
import { unlessAborted } from '../interruption.ts';
import { openPieceFile } from '../piece-file.ts';
import { duration, text } from '../readers.ts';
import { askCluster, runningClusterFlags } from '../running-cluster.ts';
import { takeTrace } from '../trace-file.ts';
import { traceWindowFlags, windowOf } from '../trace-flags.ts';

const traceCommandFlags = {
  seconds: withDefault('2s', {
    name: 'seconds',
    value: '<time>',
    description: 'how long',
    reader: duration,
    environment: 'HLSIM_TRACE_SECONDS',
  }),
  output: required({
    name: 'output',
    value: '<file>',
    description: 'where the trace goes',
    reader: text('a file name'),
    environment: 'HLSIM_TRACE_OUTPUT',
  }),
  ...traceWindowFlags,
  ...runningClusterFlags,
} as const;

export function traceCommand(context: CommandContext): Command {
  const command = new Command('trace').description(
    'Take a trace of a running cluster, for ui.perfetto.dev',
  );
  addFlags(command, traceCommandFlags).addHelpText(
    'after',
    `
Collectives, slices and reductions of every rank, on one clock. Costs nothing before and after. A bare
number is seconds. --trace of hlsim bench and hlsim run takes one of a whole job.

Examples:
  hlsim trace --output trace.json
  hlsim trace --seconds 500ms --trace-every 10 --output trace.json
  hlsim trace --output trace.json --coordinator ws://127.0.0.1:7700`,
  );
  return command.action(async () => {
    const flags = readFlags(command, traceCommandFlags);
    const { seconds: forMs, output: path } = flags;
    const wish = { window: windowOf(flags), file: openPieceFile('output', path), path };
    await askCluster(flags, context, async (client) => {
      const { scheduler, interruption, terminal } = context;
      await unlessAborted(interruption.signal, client.startTrace(wish.window));
      terminal.progress(`tracing for ${forMs} ms`);
      await unlessAborted(interruption.signal, delay(scheduler, forMs));
      await takeTrace(wish, client, `${forMs} ms of a running cluster`, context);
    });
  });
}
