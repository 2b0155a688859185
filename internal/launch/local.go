package launch

import "golang.org/x/sys/unix"

// localMagic are file systems, by the magic number of statfs(2), whose files come from this machine alone, so that a read
// ends when a disk does. What is not listed (nfs, smb, fuse, 9p, ceph, afs, autofs, …, and whatever comes next) may wait
// for a network or another process.
var localMagic = map[uint32]bool{
	unix.EXT4_SUPER_MAGIC:      true, // and ext2, ext3
	unix.XFS_SUPER_MAGIC:       true,
	unix.BTRFS_SUPER_MAGIC:     true,
	unix.TMPFS_MAGIC:           true, // and devtmpfs
	unix.RAMFS_MAGIC:           true,
	unix.OVERLAYFS_SUPER_MAGIC: true,
	unix.SQUASHFS_MAGIC:        true,
	unix.EROFS_SUPER_MAGIC_V1:  true,
	unix.F2FS_SUPER_MAGIC:      true,
	unix.ISOFS_SUPER_MAGIC:     true,
	unix.UDF_SUPER_MAGIC:       true,
	unix.MSDOS_SUPER_MAGIC:     true,
	unix.EXFAT_SUPER_MAGIC:     true,
	unix.REISERFS_SUPER_MAGIC:  true,
	unix.NILFS_SUPER_MAGIC:     true,
	unix.CRAMFS_MAGIC:          true,
	unix.MINIX3_SUPER_MAGIC:    true,
	0x2fc12fc1:                 true, // zfs
	0xca451a4e:                 true, // bcachefs
	0x3153464a:                 true, // jfs
	0x7366746e:                 true, // ntfs3
	0x00007275:                 true, // romfs
}

// local says whether path lies on a local file system; false if that cannot be found out.
func local(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && localMagic[uint32(st.Type)]
}

// localFile is local for an open file.
func localFile(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && localMagic[uint32(st.Type)]
}
