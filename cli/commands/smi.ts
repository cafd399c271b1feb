/** `hlsim smi`: the devices of a cluster that stays, one row each. */
import { Command } from 'commander';
import { delay } from '../../common/scheduler.ts';
import { reportAbsentHosts } from '../absent-hosts.ts';
import type { CommandContext } from '../context.ts';
import type { ClusterDevices } from '../device-questions.ts';
import { renderDevices } from '../device-table.ts';
import { addFlags, type FlagValues, readFlags, toggle } from '../flags.ts';
import { unlessAborted } from '../interruption.ts';
import { askCluster, runningClusterFlags } from '../running-cluster.ts';

/** From one look to the next. */
const WATCH_INTERVAL_MS = 1_000;

const smiFlags = {
  json: toggle({
    name: 'json',
    description: 'print JSON, with --watch one line for each look',
    // HLSIM_JSON is a file name, of other commands.
    environment: 'HLSIM_SMI_JSON',
  }),
  watch: toggle({ name: 'watch', description: 'look again every second, until Ctrl-C' }),
  ...runningClusterFlags,
} as const;

export function smiCommand(context: CommandContext): Command {
  const command = new Command('smi').description('Show the devices of a cluster and who has them');
  addFlags(command, smiFlags).addHelpText(
    'after',
    `
STATE is free, open, releasing (closed, but something still refers to its memory), scrubbing, or the
driver's word for what is wrong. OWNER is whose memory is on it. MRS are the memory regions that NICs
have of its dma-bufs, and the imports of other devices; RESETS its hard resets. The exit code is 1 if a
host did not answer.

Examples:
  hlsim smi
  hlsim smi --watch
  hlsim smi --json --coordinator ws://127.0.0.1:7700`,
  );
  return command.action(async () => {
    const flags = readFlags(command, smiFlags);
    await askCluster(flags, context, async (client) => {
      const { signal } = context.interruption;
      const look = () => unlessAborted(signal, client.deviceStatus());
      for (;;) {
        const devices = await look();
        show(devices, flags, context);
        reportAbsentHosts(devices, client.expectedHosts, context);
        if (!flags.watch) break;
        await unlessAborted(signal, delay(context.scheduler, WATCH_INTERVAL_MS));
      }
    });
  });
}

function show(
  { hosts, failures }: ClusterDevices,
  { json, watch }: FlagValues<typeof smiFlags>,
  { terminal }: CommandContext,
): void {
  if (json) terminal.result(JSON.stringify({ devices: deviceRows(hosts), failures }));
  else if (watch) terminal.screen(renderDevices(hosts));
  else terminal.result(renderDevices(hosts));
}

function deviceRows(hosts: ClusterDevices['hosts']): object[] {
  return hosts.flatMap(({ host, devices }) =>
    devices.map(({ index, ...device }) => ({
      host: host.index,
      hostname: host.hostname,
      device: index,
      ...device,
    })),
  );
}
