"""Certificates of servers, and the authorities that issue them, by openssl(1)."""

import datetime
import os

from netns import run


def certificate(directory, name, host, ca, start, days):
    """NAME.crt and NAME.key for a host, issued by ca (a path without extension)."""
    path = os.path.join(directory, name)
    run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=" + host, "-keyout", path + ".key", "-out", path + ".csr"])
    with open(path + ".ext", "w") as f:
        f.write("subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n" % host)
    database = os.path.join(directory, "db-" + name)
    open(database, "w").close()
    with open(path + ".cnf", "w") as f:
        f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=%s\nnew_certs_dir=%s\ndefault_md=sha256\n"
                "policy=p\nrand_serial=yes\nemail_in_dn=no\nunique_subject=no\n"
                "[p]\ncommonName=supplied\n" % (database, directory))
    end = start + datetime.timedelta(days=days)
    form = "%Y%m%d%H%M%SZ"
    run(["openssl", "ca", "-batch", "-notext", "-config", path + ".cnf", "-in", path + ".csr",
         "-cert", ca + ".crt", "-keyfile", ca + ".key", "-extfile", path + ".ext",
         "-startdate", start.strftime(form), "-enddate", end.strftime(form),
         "-out", path + ".crt"])


def authority(directory, name):
    path = os.path.join(directory, name)
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "30", "-subj", "/CN=" + name, "-keyout", path + ".key",
         "-out", path + ".crt"])
    return path
