const pattern = /pass(word|wd|phrase)?$|secret|token|credential|(api|private|shared)[_-]?key|auth(orization)?$|cookie/i;

/** Whether what bears this name (a header, a key of a configuration) is likely to be a secret. */
export function isSecretName(name: string): boolean {
  return pattern.test(name);
}

/** What is shown in place of a secret. */
export const maskedText = "***";
