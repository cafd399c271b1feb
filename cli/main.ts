/** The `hlsim` command: its parts, its help, and the way every command ends. */
import { Command, CommanderError } from 'commander';
import { keepAliveTimer } from '../common/scheduler.ts';
import { type CommandContext, openContext } from './context.ts';
import { reportFailure } from './failure.ts';
import { hlsimVersion } from './package-files.ts';

type MakeCommand = (context: CommandContext) => Command;

/**
 * How each command is made, in the order of the help. Read when it is asked for: a host process that starts
 * loads a fraction of what all of them need.
 */
const COMMANDS: Readonly<Record<string, () => Promise<MakeCommand>>> = {
  demo: async () => (await import('./commands/demo.ts')).demoCommand,
  bench: async () => (await import('./commands/bench.ts')).benchCommand,
  train: async () => (await import('./commands/train.ts')).trainCommand,
  run: async () => (await import('./commands/run.ts')).runCommand,
  up: async () => (await import('./commands/up.ts')).upCommand,
  down: async () => (await import('./commands/down.ts')).downCommand,
  ps: async () => (await import('./commands/ps.ts')).psCommand,
  smi: async () => (await import('./commands/smi.ts')).smiCommand,
  dmabuf: async () => (await import('./commands/dmabuf.ts')).dmaBufCommand,
  evict: async () => (await import('./commands/evict.ts')).evictCommand,
  trace: async () => (await import('./commands/trace.ts')).traceCommand,
  scenario: async () => (await import('./commands/scenario.ts')).scenarioCommand,
  verify: async () => (await import('./commands/verify.ts')).verifyCommand,
  show: async () => (await import('./commands/show.ts')).showCommand,
  cost: async () => (await import('./commands/cost.ts')).costCommand,
  predict: async () => (await import('./commands/predict.ts')).predictCommand,
  export: async () => (await import('./commands/export.ts')).exportCommand,
  step: async () => (await import('./commands/step.ts')).stepCommand,
  calibrate: async () => (await import('./commands/calibrate.ts')).calibrateCommand,
  tune: async () => (await import('./commands/tune.ts')).tuneCommand,
  topo: async () => (await import('./commands/topo.ts')).topoCommand,
  coordinator: async () => (await import('./commands/coordinator.ts')).coordinatorCommand,
  node: async () => (await import('./commands/node.ts')).nodeCommand,
};

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
    const program = await hlsimCommand(context);
    await program.parseAsync(context.argv, { from: 'user' });
    context.terminal.settle();
    return context.exitCode;
  } catch (reason) {
    if (reason instanceof CommanderError && isHelp(reason)) return reason.exitCode === 0 ? 0 : 2;
    return reportFailure(context.terminal, reason);
  } finally {
    release();
  }
}

/** With the command that is asked for; with all where none is, for the help and for what is misspelt. */
async function hlsimCommand(context: CommandContext): Promise<Command> {
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
  const [word = ''] = context.argv;
  const asked = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  const makers = asked === undefined ? Object.values(COMMANDS) : [asked];
  const commands = (await Promise.all(makers.map((make) => make()))).map((make) => make(context));
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
