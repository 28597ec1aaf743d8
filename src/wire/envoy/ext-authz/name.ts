/** The door's name, for metrics and for the lists of who may use it. */
export const doorName = "ext_authz";
