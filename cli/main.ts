/** The `hlsim` command: its parts, its help, and the way every command ends. */
import { Command, CommanderError } from 'commander';
import { keepAliveTimer } from '../common/scheduler.ts';
import { benchCommand } from './commands/bench.ts';
import { calibrateCommand } from './commands/calibrate.ts';
import { coordinatorCommand } from './commands/coordinator.ts';
import { costCommand } from './commands/cost.ts';
import { demoCommand } from './commands/demo.ts';
import { dmaBufCommand } from './commands/dmabuf.ts';
import { downCommand } from './commands/down.ts';
import { evictCommand } from './commands/evict.ts';
import { exportCommand } from './commands/export.ts';
import { nodeCommand } from './commands/node.ts';
import { predictCommand } from './commands/predict.ts';
import { psCommand } from './commands/ps.ts';
import { runCommand } from './commands/run.ts';
import { scenarioCommand } from './commands/scenario.ts';
import { showCommand } from './commands/show.ts';
import { smiCommand } from './commands/smi.ts';
import { stepCommand } from './commands/step.ts';
import { topoCommand } from './commands/topo.ts';
import { traceCommand } from './commands/trace.ts';
import { trainCommand } from './commands/train.ts';
import { tuneCommand } from './commands/tune.ts';
import { upCommand } from './commands/up.ts';
import { verifyCommand } from './commands/verify.ts';
import { type CommandContext, openContext } from './context.ts';
import { reportFailure } from './failure.ts';
import { hlsimVersion } from './package-files.ts';

/** The longest delay that a timer of the runtime takes. */
const FOREVER_MS = 2 ** 31 - 1;

/** Runs one command line, without `node` and `hlsim`. Resolves to the exit code; never rejects. */
export function main(argv: readonly string[]): Promise<number> {
  return runCommandLine(openContext(argv));
}

/** `main`, in a context of the caller's. */
export async function runCommandLine(context: CommandContext): Promise<number> {
  // An unfinished command must not end with 0 because nothing else keeps the process alive.
  const release = keepAliveTimer(FOREVER_MS, () => undefined);
  try {
    await hlsimCommand(context).parseAsync(context.argv, { from: 'user' });
    context.terminal.settle();
    return context.exitCode;
  } catch (reason) {
    if (reason instanceof CommanderError && isHelp(reason)) return reason.exitCode === 0 ? 0 : 2;
    return reportFailure(context.terminal, reason);
  } finally {
    release();
  }
}

function hlsimCommand(context: CommandContext): Command {
  const program = new Command('hlsim')
    .description('A cluster of simulated Habana Gaudi hosts')
    .version(hlsimVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText(
      'after',
      `
Every flag may also be given by the environment variable behind it in brackets.

Examples:
  hlsim demo
  hlsim bench all_reduce --hosts 4 -b 8 -e 64M -f 8
  hlsim run hello.js --hosts 4
  hlsim scenario run exfiltration
  hlsim bench --help`,
    );
  const commands = [
    demoCommand(context),
    benchCommand(context),
    trainCommand(context),
    runCommand(context),
    upCommand(context),
    downCommand(context),
    psCommand(context),
    smiCommand(context),
    dmaBufCommand(context),
    evictCommand(context),
    traceCommand(context),
    scenarioCommand(context),
    verifyCommand(context),
    showCommand(context),
    costCommand(context),
    predictCommand(context),
    exportCommand(context),
    stepCommand(context),
    calibrateCommand(context),
    tuneCommand(context),
    topoCommand(context),
    coordinatorCommand(context),
    nodeCommand(context),
  ];
  for (const command of commands) program.addCommand(command);
  const parts = commands.flatMap((command) => command.commands);
  for (const command of [program, ...commands, ...parts]) {
    command.exitOverride();
    command.configureOutput({
      writeOut: (text) => context.terminal.result(text.trimEnd()),
      writeErr: (text) => context.terminal.note(text.trimEnd()),
      // What commander would print as an error is thrown too, and printed by `reportFailure`.
      outputError: () => undefined,
    });
    command.helpCommand(false);
  }
  return program;
}

/** Help and version are "errors" of commander's; without any command the help goes to stderr. */
function isHelp({ code }: CommanderError): boolean {
  return (
    code === 'commander.helpDisplayed' || code === 'commander.version' || code === 'commander.help'
  );
}
