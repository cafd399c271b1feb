/** `hlsim dmabuf`: the dma-bufs of every host, as the kernel's bufinfo lists them. */
import { Command } from 'commander';
import { reportAbsentHosts } from '../absent-hosts.ts';
import type { CommandContext } from '../context.ts';
import { renderDmaBufs } from '../device-table.ts';
import { addFlags, readFlags, toggle } from '../flags.ts';
import { unlessAborted } from '../interruption.ts';
import { askCluster, runningClusterFlags } from '../running-cluster.ts';

const dmaBufFlags = {
  json: toggle({
    name: 'json',
    description: 'print JSON',
    // HLSIM_JSON is a file name, of other commands.
    environment: 'HLSIM_DMABUF_JSON',
  }),
  ...runningClusterFlags,
} as const;

export function dmaBufCommand(context: CommandContext): Command {
  const command = new Command('dmabuf').description(
    'Show the dma-bufs of a cluster and who uses them',
  );
  addFlags(command, dmaBufFlags).addHelpText(
    'after',
    `
ATTACHMENTS are the devices that import a dma-buf, for which process, in which way, and whether they can
be made to stop. DESCRIPTORS are the file descriptors that name it. The exit code is 1 if a host did not
answer.

Examples:
  hlsim dmabuf
  hlsim dmabuf --json --state-dir ./state`,
  );
  return command.action(async () => {
    const flags = readFlags(command, dmaBufFlags);
    const { terminal, interruption } = context;
    const { devices, expectedHosts } = await askCluster(flags, context, async (client) => ({
      devices: await unlessAborted(interruption.signal, client.deviceStatus()),
      expectedHosts: client.expectedHosts,
    }));
    const { hosts, failures } = devices;
    if (flags.json) {
      const lists = hosts.map(({ host, dmaBufs, dmaBufsOmitted }) => {
        return { host: host.index, hostname: host.hostname, dmaBufs, dmaBufsOmitted };
      });
      terminal.result(JSON.stringify({ hosts: lists, failures }));
    } else terminal.result(renderDmaBufs(hosts));
    reportAbsentHosts(devices, expectedHosts, context);
  });
}
