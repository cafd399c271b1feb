/** `hlsim node`: one simulated host with its devices. */
import { hostname } from 'node:os';
import process from 'node:process';
import { Command } from 'commander';
import { environmentCopy } from '../../common/environment.ts';
import {
  awaitGoFlag,
  daemonLogLevelFlag,
  devicesFlag,
  exitWithParentFlag,
  hbmFlag,
  joinTimeoutFlag,
  ownershipFlag,
  resetFlags,
  tokenFlag,
  transportFlag,
} from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, readFlags, required, withDefault } from '../flags.ts';
import { obeyParent } from '../launcher-line.ts';
import { coordinatorUrl, integer, text } from '../readers.ts';

const nodeFlags = {
  coordinator: required({
    name: 'coordinator',
    value: '<url>',
    description: 'the coordinator to join',
    reader: coordinatorUrl,
  }),
  devices: devicesFlag,
  hbm: hbmFlag,
  ownership: ownershipFlag,
  transport: transportFlag,
  ...resetFlags,
  bind: withDefault('0.0.0.0', {
    name: 'bind',
    value: '<address>',
    description: 'address that the data links listen on',
    reader: text('an address of this machine'),
  }),
  port: withDefault('0', {
    name: 'port',
    value: '<n>',
    description: 'port that the data links listen on; 0 takes any free one',
    reader: integer(0, 65_535),
  }),
  hostname: withDefault(hostname(), {
    name: 'hostname',
    value: '<name>',
    description: 'name of the host in messages and tables',
    reader: text('a name that is not empty'),
  }),
  token: tokenFlag,
  joinTimeout: joinTimeoutFlag,
  logLevel: daemonLogLevelFlag,
  exitWithParent: exitWithParentFlag,
  awaitGo: awaitGoFlag,
} as const;

/** User programs see the host's environment, without what would let them pose as part of the cluster. */
const SECRETS = ['HLSIM_TOKEN'];

export function nodeCommand(context: CommandContext): Command {
  const command = new Command('node').description('Run one simulated host');
  addFlags(command, nodeFlags).addHelpText(
    'after',
    `
Prints one line of JSON on stdout when the coordinator has accepted it; logs go to stderr.

Examples:
  hlsim node --coordinator ws://127.0.0.1:7700
  hlsim node --coordinator ws://coordinator:7700 --devices 8 --hbm 1G
  hlsim node --coordinator ws://127.0.0.1:7700 --ownership revoke`,
  );
  return command.action(async () => {
    const flags = readFlags(command, nodeFlags);
    const { runNode } = await import('../../node/main.ts');
    await obeyParent(flags, context.scheduler);
    await runNode(nodeConfigOf(flags));
    // A host that ended for a bad reason has said so in its log.
    context.exitCode = Number(process.exitCode ?? 0);
  });
}

function nodeConfigOf(flags: FlagValues<typeof nodeFlags>) {
  const environment = environmentCopy();
  for (const name of SECRETS) delete environment[name];
  const { coordinator, devices, hostname, ownership, exitWithParent, logLevel, token } = flags;
  return {
    coordinator,
    devices,
    hostname,
    ownership,
    exitWithParent,
    logLevel,
    environment,
    hbmBytes: flags.hbm,
    linkTransport: flags.transport,
    bind: { host: flags.bind, port: flags.port },
    joinTimeoutMs: flags.joinTimeout,
    reset: {
      graceMs: flags.resetGrace,
      waitMs: flags.resetWait,
      trials: flags.resetTrials,
    },
    ...(token === undefined ? {} : { token }),
  };
}
