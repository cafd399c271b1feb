/** `hlsim coordinator`: the cluster's one control process. */
import { Command } from 'commander';
import {
  awaitGoFlag,
  COORDINATOR_PORT_DEFAULT,
  daemonLogLevelFlag,
  exitWithParentFlag,
  HOSTS_MAX,
  tokenFlag,
} from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, readFlags, required, withDefault } from '../flags.ts';
import { obeyParent } from '../launcher-line.ts';
import { integer, text } from '../readers.ts';

const coordinatorFlags = {
  hosts: required({
    name: 'hosts',
    value: '<n>',
    description: 'host processes that make the cluster complete',
    reader: integer(1, HOSTS_MAX),
  }),
  host: withDefault('0.0.0.0', {
    name: 'host',
    value: '<address>',
    description: 'address to listen on',
    reader: text('an address of this machine'),
  }),
  port: withDefault(String(COORDINATOR_PORT_DEFAULT), {
    name: 'port',
    value: '<n>',
    description: 'port to listen on; 0 takes any free one',
    reader: integer(0, 65_535),
  }),
  token: tokenFlag,
  logLevel: daemonLogLevelFlag,
  exitWithParent: exitWithParentFlag,
  awaitGo: awaitGoFlag,
} as const;

export function coordinatorCommand(context: CommandContext): Command {
  const command = new Command('coordinator').description('Run the control process of a cluster');
  addFlags(command, coordinatorFlags).addHelpText(
    'after',
    `
Prints one line of JSON on stdout when it listens; logs go to stderr. GET /healthz and /status answer
on the same port.

Examples:
  hlsim coordinator --hosts 4
  HLSIM_TOKEN=secret hlsim coordinator --host 127.0.0.1 --port 7800 --hosts 2`,
  );
  return command.action(async () => {
    const flags = readFlags(command, coordinatorFlags);
    // The daemons' code is loaded by the daemons alone: the command starts faster without it.
    const { runCoordinator } = await import('../../coordinator/main.ts');
    await obeyParent(flags, context.scheduler);
    await runCoordinator(flags);
  });
}
