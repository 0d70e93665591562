/** The version of etcd that clients are told: the newest whose behaviour the differential test covers. */
export const etcdVersion = "3.4.23";
/** The version that all members of an etcd cluster of that version share. */
export const etcdClusterVersion = "3.4.0";
