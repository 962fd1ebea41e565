"""What the C library, shells, dpkg and apt say in other languages, put into English.

The kernel, the driver, CUDA and nearly all engines speak English whatever the locale is. These programs
follow it, and rules look for their words ("command not found", "No such file or directory"). A line with such
words is read a second time with the English ones in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from bringup.patterns import regex

_LIMIT_CHARACTERS: Final = 200_000
"""A longer text is a log of services, which run in English."""

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "command not found": (
        "orden no encontrada",
        "no se encontró la orden",
        "Befehl nicht gefunden",
        "Kommando nicht gefunden",
        "commande introuvable",
        "comando não encontrado",
        "comando non trovato",
        "команда не найдена",
        "未找到命令",
        "找不到命令",
        "コマンドが見つかりません",
        "명령어를 찾을 수 없음",
        "nie znaleziono polecenia",
        "opdracht niet gevonden",
        "komut bulunamadı",  # noqa: RUF001 - as printed
    ),
    "No such file or directory": (
        "No existe el archivo o el directorio",
        "No existe el fichero o el directorio",
        "Datei oder Verzeichnis nicht gefunden",
        "Aucun fichier ou dossier de ce type",
        "Arquivo ou diretório inexistente",
        "Arquivo ou diretório não encontrado",
        "Ficheiro ou directoria inexistente",
        "File o directory non esistente",
        "Нет такого файла или каталога",
        "没有那个文件或目录",
        "沒有此一檔案或目錄",
        "そのようなファイルやディレクトリはありません",
        "그런 파일이나 디렉터리가 없습니다",
        "Nie ma takiego pliku ani katalogu",
        "Bestand of map bestaat niet",
        "Böyle bir dosya ya da dizin yok",
    ),
    "cannot open shared object file": (
        "no se puede abrir el archivo del objeto compartido",
        "no se puede abrir el fichero del objeto compartido",
        "Kann die Shared-Object-Datei nicht öffnen",
        "ne peut ouvrir le fichier d'objet partagé",
        "impossible d'ouvrir le fichier d'objet partagé",
        "não foi possível abrir arquivo compartilhado",
        "impossibile aprire il file oggetto condiviso",
        "无法打开共享对象文件",
        "невозможно открыть разделяемый объектный файл",
        "共有オブジェクトファイルを開けません",
    ),
    "Permission denied": (
        "Permiso denegado",
        "Keine Berechtigung",
        "Permission non accordée",
        "Permissão negada",
        "Permesso negato",
        "Отказано в доступе",
        "权限不够",
        "許可がありません",
        "허가 거부",
        "Brak dostępu",
        "Toegang geweigerd",
        "Erişim engellendi",
    ),
    "Operation not permitted": (
        "Operación no permitida",
        "Die Operation ist nicht erlaubt",
        "Vorgang nicht zulässig",
        "Opération non permise",
        "Operação não permitida",
        "Operazione non permessa",
        "Операция не позволена",
        "不允许的操作",
    ),
    "Key was rejected by service": (
        "Der Schlüssel wurde vom Dienst abgelehnt",
        "Schlüssel wurde durch Dienst abgelehnt",
        "La clé a été rejetée par le service",
        "La chiave è stata rifiutata dal servizio",
        "Chave foi rejeitada pelo serviço",
        "Ключ был отвергнут службой",
        "密钥被服务所拒绝",
    ),
    "Required key not available": (
        "Erforderlicher Schlüssel nicht verfügbar",
        "La clave requerida no está disponible",
        "Clé requise non disponible",
        "La chiave richiesta non è disponibile",
        "Chave necessária não disponível",
        "Требуемый ключ недоступен",
        "要求的关键字不存在",
    ),
    "No such device": (
        "No existe el dispositivo",
        "Kein passendes Gerät gefunden",
        "Aucun périphérique de ce type",
        "Dispositivo inexistente",
        "Нет такого устройства",
        "没有那个设备",
    ),
    "Exec format error": (
        "Formato de ejecutable incorrecto",
        "Fehler im Format der Programmdatei",
        "Erreur de format pour exec()",
        "Erro no formato exec",
        "Ошибка формата выполняемого файла",
        "可执行文件格式错误",
    ),
    "error processing package": (
        "error al procesar el paquete",
        "Fehler beim Bearbeiten des Paketes",
        "Fehler beim Bearbeiten des Pakets",
        "erreur de traitement du paquet",
        "erro ao processar o pacote",
        "errore nell'elaborare il pacchetto",
        "ошибка при обработке пакета",
        "błąd przetwarzania pakietu",
    ),
    "The following packages have unmet dependencies": (
        "Los siguientes paquetes tienen dependencias incumplidas",
        "Die folgenden Pakete haben unerfüllte Abhängigkeiten",
        "Les paquets suivants contiennent des dépendances non satisfaites",
        "Os pacotes a seguir têm dependências desencontradas",
        "I seguenti pacchetti hanno dipendenze non soddisfatte",
        "Следующие пакеты имеют неудовлетворённые зависимости",
        "Пакеты, имеющие неудовлетворённые зависимости",
        "下列软件包有未满足的依赖关系",
        "以下のパッケージには満たせない依存関係があります",
        "Następujące pakiety mają niespełnione zależności",
    ),
    "you have held broken packages": (
        "usted ha retenido paquetes rotos",
        "Sie haben zurückgehaltene defekte Pakete",
        "des paquets défectueux sont en mode",
        "você manteve (hold) pacotes quebrados",
        "ci sono pacchetti danneggiati bloccati",
        "у вас зафиксированы сломанные пакеты",  # noqa: RUF001 - as printed
        "就是它们破坏了软件包间的依赖关系",
    ),
}
"""English words, and those of other locales as these programs print them."""

_PAIRS: Final = tuple((foreign, english) for english, all_words in _WORDS.items() for foreign in all_words)
_DPKG_CHINESE: Final = regex(r"处理软件包 (\S{1,80}) ?\(([^()]{1,40})\) ?时出错")


def with_english(raws: list[str], parted: Mapping[int, Iterable[str]]) -> Mapping[int, Iterable[str]]:
    """The pieces of lines, by index, with the English of those beside them that are in another language."""
    if sum(map(len, raws)) > _LIMIT_CHARACTERS:
        return parted
    flat = [(index, piece) for index, raw in enumerate(raws) for piece in parted.get(index, (raw,))]
    result = dict(parted)
    for number, english in in_english([piece for _, piece in flat]).items():
        index = flat[number][0]
        result[index] = (*result.get(index, (raws[index],)), english)
    return result


def in_english(raws: list[str]) -> dict[int, str]:
    """The lines that hold such words, by index, with English ones in their place.

    Raw line: `bash: nvidia-smi: Befehl nicht gefunden.`
    """
    text = "\n".join(raws)
    pairs = [pair for pair in _PAIRS if pair[0] in text]
    has_dpkg = "时出错" in text
    if not pairs and not has_dpkg:
        return {}
    read = ((index, _english(raw, pairs)) for index, raw in enumerate(raws))
    return {index: english for index, english in read if english != raws[index]}


def _english(raw: str, pairs: Iterable[tuple[str, str]]) -> str:
    for foreign, english in pairs:
        if foreign in raw:
            raw = raw.replace(foreign, english)
    return _DPKG_CHINESE.sub(r"error processing package \1 (\2)", raw)
