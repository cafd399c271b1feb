/** `hlsim evict`: takes a device from whoever keeps it, as an orchestrator would. */
import { Command } from 'commander';
import {
  EVICT_GRACE_MS_MAX,
  EVICT_RETRIES_MAX,
  type EvictStep,
} from '../../coordinator/hlcp/device-messages.ts';
import { errorOf } from '../../coordinator/hlcp/refusal.ts';
import { DEVICES_MAX, HOSTS_MAX } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import type { EvictionEnd } from '../device-questions.ts';
import { reportFailure } from '../failure.ts';
import {
  addFlags,
  type FlagValues,
  readFlags,
  required,
  toggle,
  usageError,
  withDefault,
} from '../flags.ts';
import { unlessAborted } from '../interruption.ts';
import { duration, integer } from '../readers.ts';
import { askCluster, runningClusterFlags } from '../running-cluster.ts';

const evictFlags = {
  host: required({
    name: 'host',
    value: '<n>',
    description: 'index of the host, from 0',
    reader: integer(0, HOSTS_MAX - 1),
    // HLSIM_HOST is the coordinator's address to listen on.
    environment: 'HLSIM_EVICT_HOST',
  }),
  device: required({
    name: 'device',
    value: '<n>',
    description: 'index of the device on the host, from 0',
    reader: integer(0, DEVICES_MAX - 1),
    environment: 'HLSIM_EVICT_DEVICE',
  }),
  grace: withDefault('5s', {
    name: 'grace',
    value: '<time>',
    description: 'from SIGTERM to SIGKILL, for each process',
    reader: duration,
  }),
  retries: withDefault('3', {
    name: 'retries',
    value: '<n>',
    description: 'more trials, before the device is disabled',
    reader: integer(0, EVICT_RETRIES_MAX),
  }),
  json: toggle({
    name: 'json',
    description: 'print JSON, at the end',
    // HLSIM_JSON is a file name, of other commands.
    environment: 'HLSIM_EVICT_JSON',
  }),
  ...runningClusterFlags,
} as const;

type EvictFlagValues = FlagValues<typeof evictFlags>;

export function evictCommand(context: CommandContext): Command {
  const command = new Command('evict').description(
    'End the processes that keep a device, until it is free',
  );
  addFlags(command, evictFlags).addHelpText(
    'after',
    `
First the processes that have the device open, then those for which a NIC has memory regions in its
memory, then those that have only a descriptor of one of its dma-bufs. After each the host looks whether
the device is free. When the retries run out the device is disabled: nobody can open it any more.
The exit code is 0 if the device is free at the end.

Examples:
  hlsim evict --host 0 --device 0
  hlsim evict --host 1 --device 3 --grace 10s --retries 5
  hlsim evict --host 0 --device 0 --json --coordinator ws://127.0.0.1:7700`,
  );
  return command.action(async () => {
    context.exitCode = await evict(readFlags(command, evictFlags), context);
  });
}

async function evict(flags: EvictFlagValues, context: CommandContext): Promise<number> {
  const { host, device, grace: graceMs, retries, json } = flags;
  if (graceMs > EVICT_GRACE_MS_MAX) {
    throw usageError(
      `Expected --grace to be at most ${EVICT_GRACE_MS_MAX / 1_000}s but found ${graceMs / 1_000}s`,
    );
  }
  const { terminal, interruption } = context;
  const steps: EvictStep[] = [];
  const listener = (step: EvictStep): void => {
    steps.push(step);
    if (!json) terminal.result(`${String(steps.length).padStart(3)}  ${step.text}`);
  };
  const end = await askCluster(flags, context, (client) =>
    unlessAborted(interruption.signal, client.evict({ host, device, graceMs, retries }, listener)),
  );
  if (json) terminal.result(JSON.stringify({ host, device, steps, ...end }));
  else if (end.outcome === 'free') terminal.result(`Device ${device} of host ${host} is free.`);
  return exitCodeOf(end, context);
}

function exitCodeOf({ outcome, failure }: EvictionEnd, { terminal }: CommandContext): number {
  if (failure !== undefined) return reportFailure(terminal, errorOf(failure));
  return outcome === 'free' ? 0 : 1;
}
