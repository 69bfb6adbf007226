/*
 * replay: a main() for fuzz targets: runs each file of the corpus once.
 *
 * Without arguments the corpus is $srcdir/tests/fuzz/corpus/NAME, where the program is
 * fuzz_NAME; with arguments it is the files given.  Fails if there is nothing to replay.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (file == NULL || fseek(file, 0, SEEK_END) == -1 || (size = ftell(file)) == -1) {
		perror(path);
		exit(1);
	}
	rewind(file);
	/* exactly as long as the input, so that a sanitizer sees the first octet too many */
	data = malloc(size > 0 ? (size_t)size : 1);
	if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 1;
}

static int
replay_directory(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[5000];
	int count = 0;

	if (dir == NULL) {
		perror(directory);
		exit(1);
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		count += replay_file(path);
	}
	closedir(dir);
	return count;
}

int
main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	const char *name = strstr(argv[0], "fuzz_");
	const char *next;
	char directory[4096];
	int count = 0;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			count += replay_file(argv[i]);
	} else {
		while (name != NULL && (next = strstr(name + 1, "fuzz_")) != NULL)
			name = next;
		if (name == NULL)
			return 1;
		snprintf(directory, sizeof(directory), "%s/tests/fuzz/corpus/%s",
		    srcdir != NULL ? srcdir : ".", name + strlen("fuzz_"));
		count = replay_directory(directory);
	}
	printf("%d inputs replayed\n", count);
	return count > 0 ? 0 : 1;
}
