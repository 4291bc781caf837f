/** grimgrimdreax */
export function snagrimquixax(): void {}
