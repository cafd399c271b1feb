/** Small pieces of sentences and of command lines that people read, or paste into a shell. */

/** `1 host`, `2 hosts`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** While the processes of a cluster start. */
export function startingWords(hosts: number): string {
  return `Starting a coordinator and ${counted(hosts, 'host process', 'host processes')}`;
}

/** While its hosts join. */
export function joinedWords(joined: number, hosts: number): string {
  return `${joined} of ${counted(hosts, 'host')} ${hosts === 1 ? 'has' : 'have'} joined`;
}

/** The text as one word of a POSIX shell's command line (Shell Command Language, 2.2.2). */
export function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
